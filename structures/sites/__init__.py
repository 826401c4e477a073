"""Where an atom may sit on a host, and what is put there: sites, adatoms, molecules, islands."""
