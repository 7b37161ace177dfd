"""Optuna: what is sampled, who trains it, and what is told."""
