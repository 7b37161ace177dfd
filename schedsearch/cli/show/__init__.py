"""How commands show events and results."""
