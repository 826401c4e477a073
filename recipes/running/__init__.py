"""Recipe files: read, planned against a store, run and planned again."""
