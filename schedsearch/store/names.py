"""The names of the Optuna studies that one run owns.

A run may own several: `RUN` itself, which holds the trials of the search (in rank mode each family
has a study of its own, and `RUN` none), and those beside it.
"""

CHECKS = "fidelity"
CONFIRMATION = "confirmation"
TEST = "test"


def checks_name(run: str) -> str:
    """Return the name of the study whose schedules check a run's rungs.

    >>> checks_name("digits")
    'digits/fidelity'
    """
    return f"{run}/{CHECKS}"


def confirmation_name(run: str) -> str:
    """Return the name of the study that holds the trainings of a run's confirmation.

    >>> confirmation_name("digits")
    'digits/confirmation'
    """
    return f"{run}/{CONFIRMATION}"


def scores_name(run: str) -> str:
    """Return the name of the study whose models are measured on the test split.

    >>> scores_name("digits")
    'digits/test'
    """
    return f"{run}/{TEST}"


def family_name(run: str, family: str) -> str:
    """Return the name of the study that holds the trials of one family, in rank mode.

    >>> family_name("digits", "StepLR")
    'digits/StepLR'
    """
    return f"{run}/{family}"


def beside(run: str) -> tuple[str, ...]:
    """Return the names of a run's studies that hold no trials of the search."""
    return (checks_name(run), confirmation_name(run), scores_name(run))
