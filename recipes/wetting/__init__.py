"""Does the metal spread on a host or gather in islands?"""
