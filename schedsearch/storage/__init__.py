"""Where results are kept: Optuna's storage, with what Optuna has no place for beside it."""
