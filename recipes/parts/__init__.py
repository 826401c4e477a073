"""What recipes are made of: parameters, hosts by name, steps of the bare metal, pictures."""
