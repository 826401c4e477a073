"""Which host does an alkali metal like, and how easily does it move there?"""

__version__ = "0.1.0"
