"""Results, where they are kept by key, and how they leave."""
