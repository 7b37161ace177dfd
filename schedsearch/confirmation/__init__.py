"""The finalists and the baselines, trained on fresh seeds, and what that shows."""
