"""Any ASE calculator as a potential, described by a settings file; it may run in another environment."""
