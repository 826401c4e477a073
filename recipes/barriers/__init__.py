"""How easily does the metal move, from site to site and through the crystal?"""
