"""The table [space] of a study file."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidatorFunctionWrapHandler, field_validator

from schedsearch.config_horizon import Table

Range = tuple[float, float]


class SpaceTable(Table):
    """[space]: what all families share."""

    peak_lr: Range | Literal["auto"] | None = None
    """The peak learning rates searched, on a logarithmic scale; "auto": two decades found by a
    range test before the first trial; left out: two decades that are usual for the optimizer, and
    "auto" for one of your own.

    Always: two decades around the rate that you use today. "auto" if the loss has a scale of its
    own.
    """
    widen: bool | None = None
    """Whether the range grows by a decade on the side where the best trial lies at its edge: once,
    when half of the trials are over; left out: only a range that you did not give yourself.

    false if rates beyond the range are out of the question; true to let go of a range you gave.
    """
    warmup: Literal["none", "optional", "always"] = "optional"
    """A linear warm-up in front of families that don't rise by themselves; "optional": the sampler
    decides.

    "always" for models that need one (transformers); "none" to search fewer parameters.
    """
    warmup_frac: Range = (0.02, 0.1)
    """The length of the warm-up, as a fraction of the horizon.

    With warmup: longer for large batches.
    """
    warmup_start_factor: Annotated[float, Field(gt=0, le=1)] = 0.01
    """The warm-up's first rate, as a fraction of the rate that it rises to.

    Rarely.
    """
    watch: tuple[str, ...] | None = None
    """What families with ReduceLROnPlateau watch: at most one value that is to fall and one that is
    to rise, such as ["val_loss", "val_macro_f1"]; left out: the validation loss, and the objective
    or the first metric that is to rise.

    If your own training watches another metric.
    """

    @property
    def widens(self) -> bool:
        """Whether the range of peak rates may grow."""
        given = self.peak_lr not in ("auto", None)
        return not given if self.widen is None else self.widen

    @field_validator("watch", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("peak_lr", mode="wrap")
    @classmethod
    def _range_or_auto(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, str) and value != "auto":
            raise ValueError("it is [low, high], one number, or 'auto'")
        return value if value in ("auto", None) else check(cls._tuple(value))

    @field_validator("warmup_frac", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        """TOML knows arrays, and whole numbers; a single number fixes the parameter."""
        numbers = value if isinstance(value, list | tuple) else (value, value)
        return tuple(float(n) if type(n) is int else n for n in numbers)
