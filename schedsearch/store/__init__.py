"""What a run stores: its trials in Optuna's storage, and its files in a folder."""
