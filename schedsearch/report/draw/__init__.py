"""Charts as pictures and as pages."""
