"""The errors a person can act on: the command line prints each as one line and exits with 2."""

from collections.abc import Iterable
from difflib import get_close_matches


class SchedsearchError(Exception):
    """What every error of this package is; its text is one line that says what to do."""


class ScheduleError(SchedsearchError):
    """A schedule that cannot be: an unknown family, a bad parameter, a horizon too short."""


class ConfigError(SchedsearchError):
    """A study file that cannot be used as it stands."""


class DataError(SchedsearchError):
    """Data that are not where they should be."""


class DeviceError(SchedsearchError):
    """A device that this machine does not have."""


class StorageError(SchedsearchError):
    """A storage that does not answer, or that holds something else than expected."""


class RunError(SchedsearchError):
    """A run that is not there, or that does not fit what is asked of it."""


class TrainingError(SchedsearchError):
    """A training by a script or function of the user's own that failed."""


def unknown(kind: str, name: object, allowed: Iterable[str], prefix: str = "") -> str:
    """Return the message for an unknown name: the nearest match first, then all that is allowed.

    A prefix stands before each name, and counts for nothing in the search for the nearest.

    >>> unknown("family", "StepRL", ["StepLR", "ExponentialLR"])
    "unknown family 'StepRL': did you mean 'StepLR'? (allowed: StepLR, ExponentialLR)"
    """
    names = list(allowed)
    folded = {n.lower(): n for n in names}
    near = get_close_matches(str(name).lower(), folded, n=1, cutoff=0.44)
    hint = f" did you mean {prefix + folded[near[0]]!r}?" if near else ""
    listed = ", ".join(prefix + n for n in names)
    shown = repr(prefix + name) if isinstance(name, str) else repr(name)
    return f"unknown {kind} {shown}:{hint} (allowed: {listed})"


def other_version(what: str, found: object, reads: int) -> str:
    """Return the message for a file of another version, with what to do.

    >>> other_version("this schedule", 3, 2)
    'this schedule is of version 3, and this schedsearch reads version 2: install a newer one \
(pip install -U schedsearch)'
    """
    older = isinstance(found, int) and found < reads
    mend = (
        "run the study again, or install the schedsearch that wrote it"
        if older
        else "install a newer one (pip install -U schedsearch)"
    )
    return f"{what} is of version {found!r}, and this schedsearch reads version {reads}: {mend}"
