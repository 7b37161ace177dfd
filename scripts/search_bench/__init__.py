"""How much compute a search needs: truth tables, searches replayed over them, and live ones."""
