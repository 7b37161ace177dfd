"""Called: a model that is called with tensors that are not its own."""

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call


class Called:
    """A model with other tensors in the place of its own.

    Args:
        model: the model.
        named: tensors by their names; a buffer that the model replaces is replaced here.
    """

    def __init__(self, model: nn.Module, named: dict[str, Tensor]) -> None:
        self._model, self._named = model, named

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Call the model."""
        return functional_call(self._model, self._named, args, named)
