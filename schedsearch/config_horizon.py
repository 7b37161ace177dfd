"""What tables of a study file have in common; and the length of a training, in steps or epochs."""

from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from schedsearch.horizon import MOST_EPOCHS, STEPS, Unit

Count = Annotated[int, Field(ge=1)]


class Table(BaseModel):
    """What all tables have in common: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


class Horizon(Table):
    """The first keys of [training]: how long one full training is."""

    total_steps: Count = 600
    """The horizon: optimizer steps of one full training.

    Always: as many steps as you will train for, or as many as you can pay for many times over.
    """
    epochs: Annotated[float, Field(gt=0, le=MOST_EPOCHS)] | None = None
    """The horizon in passes over the training data, instead of total_steps; left out: total_steps.

    If you think in epochs: messages, axes and lists of rungs then count them too.
    """

    @model_validator(mode="before")
    @classmethod
    def _one_horizon(cls, data: Any, info: ValidationInfo) -> Any:
        """Refuse epochs beside steps; what is stored holds both, the steps follow from epochs."""
        resolved = bool(info.context and info.context.get("stored"))
        both = isinstance(data, dict) and "total_steps" in data and data.get("epochs") is not None
        if both and not resolved:
            said = f"total_steps = {data['total_steps']} and epochs = {data['epochs']}"
            raise ValueError(f"{said}: say one of them")
        return data

    @model_serializer(mode="wrap")
    def _said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the steps out where they follow from epochs, and are not known yet."""
        data: dict[str, Any] = write(self)
        if self.epochs is not None and "total_steps" not in self.model_fields_set:
            data.pop("total_steps", None)
        return data

    def counted(self, steps_per_epoch: float) -> Self:
        """Return the table with total_steps that follows from epochs, where those are given."""
        if self.epochs is None:
            return self
        return self.model_copy(update={"total_steps": Unit(steps_per_epoch).steps(self.epochs)})

    @property
    def unit(self) -> Unit:
        """The unit in which the study counts: epochs where it says epochs and they are counted."""
        if self.epochs is None or "total_steps" not in self.model_fields_set:
            return STEPS
        return Unit(self.total_steps / self.epochs)
