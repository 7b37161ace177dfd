"""The fused engine: many jobs at once."""
