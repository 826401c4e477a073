"""Which host binds the metal most strongly?"""
