"""The peak rates that are searched where a study file gives none: a range for each optimizer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DefaultRates:
    """The peak rates that are usual for an optimizer.

    Args:
        optimizer: its name in torch.optim.
        low: the lowest.
        high: the highest.
        source: where the rate in them comes from.
        momentum: whether they hold with a momentum above zero, or with none; None: either way.
    """

    optimizer: str
    low: float
    high: float
    source: str
    momentum: bool | None = None

    def fits(self, name: str, args: Mapping[str, Any]) -> bool:
        """Return whether they are those of an optimizer with these arguments."""
        has_momentum = bool(args.get("momentum", 0.0))
        return name == self.optimizer and self.momentum in (None, has_momentum)

    def sentence(self) -> str:
        """Return whose default they are, in words.

        >>> DEFAULT_RATES[3].sentence()
        'the default of AdamW (a decade around 0.001: Loshchilov & Hutter, ICLR 2019)'
        """
        which = {None: "", True: " with momentum", False: " without momentum"}[self.momentum]
        return f"the default of {self.optimizer}{which} ({self.source})"


# A decade to both sides of the rate that its authors or torch name. With a momentum of 0.9 a step
# of SGD goes ten times as far in the end: its range lies lower than the one without.
DEFAULT_RATES: tuple[DefaultRates, ...] = (
    DefaultRates("SGD", 0.003, 0.3, "up to 0.1 and above: He et al., CVPR 2016", momentum=True),
    DefaultRates(
        "SGD", 0.01, 1.0, "ten times those with a momentum of 0.9, at most 1", momentum=False
    ),
    DefaultRates("Adam", 1e-4, 1e-2, "a decade around 0.001: Kingma & Ba, ICLR 2015"),
    DefaultRates("AdamW", 1e-4, 1e-2, "a decade around 0.001: Loshchilov & Hutter, ICLR 2019"),
    DefaultRates("NAdam", 2e-4, 2e-2, "a decade around 0.002: torch's default, after Dozat 2016"),
    DefaultRates("RAdam", 1e-4, 1e-2, "a decade around 0.001: Liu et al., ICLR 2020"),
    DefaultRates("Adamax", 2e-4, 2e-2, "a decade around 0.002: Kingma & Ba, ICLR 2015"),
    DefaultRates("RMSprop", 1e-4, 1e-2, "a decade around 0.001: Tieleman & Hinton 2012"),
    DefaultRates("Adagrad", 1e-3, 1e-1, "a decade around 0.01: torch's default"),
    DefaultRates("Adadelta", 0.1, 10.0, "a decade around 1: Zeiler 2012"),
    DefaultRates("Adafactor", 1e-3, 1e-1, "a decade around 0.01: Shazeer & Stern, ICML 2018"),
    DefaultRates("Muon", 2e-3, 0.2, "a decade around 0.02: Jordan et al. 2024"),
)


def default_rates(name: str, args: Mapping[str, Any]) -> DefaultRates | None:
    """Return the usual peak rates of an optimizer; None where none are known.

    Args:
        name: a class of torch.optim, or the import path of another.
        args: the optimizer's arguments, without the rate.

    >>> default_rates("SGD", {"momentum": 0.9}).high, default_rates("AdamW", {}).high
    (0.3, 0.01)
    >>> default_rates("my_package.optimizers:Lion", {}) is None
    True
    """
    return next((each for each in DEFAULT_RATES if each.fits(name, args)), None)
