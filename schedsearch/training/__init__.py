"""How jobs are trained. Knows nothing of Optuna."""
