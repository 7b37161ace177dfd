"""Where a run keeps the random schedules that check its rungs."""

CHECKS = "fidelity"


def checks_name(run: str) -> str:
    """Name the Optuna study of the schedules that check a run's rungs.

    >>> checks_name("digits")
    'digits/fidelity'
    """
    return f"{run}/{CHECKS}"
