"""How often the library is wrong, and how soon it is right, through its public API: ``python -m validation``."""
