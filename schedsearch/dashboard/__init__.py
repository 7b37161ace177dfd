"""The Optuna dashboard, with what is published of a run on its pages."""
