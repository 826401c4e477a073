"""Which host holds the metal best?"""
