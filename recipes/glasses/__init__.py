"""Does a compound become a glass when its melt is quenched, and what is it like?"""
