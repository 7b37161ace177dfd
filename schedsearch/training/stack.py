"""Stack: K models of one task as a single parameter [K, P], stepped by one real torch optimizer.

    params [K, P] --vmap(grad_and_value)--> grads [K, P], losses [K]
    one optimizer with lr = 1:  params -> params + update
    each run's own rate:        params + rate[k] * update[k]

This equals K optimizers with their own rates wherever an update is elementwise and linear in `lr`:
SGD, Adam, AdamW, NAdam, RAdam.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from schedsearch.tasks.task import Loss, Split, Task, seeded
from schedsearch.training.optimizers import OptimizerSpec

FUSABLE_OPTIMIZERS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam")
Gradients: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
_RANDOM_LAYERS = (nn.modules.dropout._DropoutNd, nn.RReLU)
_EVALUATION_NUMBERS = 3_000_000  # inputs of an evaluation's forward pass, over all runs


def why_not_fused(task: Task, optimizer: OptimizerSpec) -> str | None:
    """Say in one line why a task's runs cannot be fused; None when they can."""
    if optimizer.name not in FUSABLE_OPTIMIZERS:
        return f"the update of {optimizer.name} is not known to be linear in its rate"
    model = task.model(0).train()
    params = list(model.parameters())
    if not params or any(not p.requires_grad for p in params):
        return "the model has frozen parameters"
    if len({p.dtype for p in params}) > 1:
        return "the model's parameters are of several types"
    if len(list(model.named_parameters(remove_duplicate=False))) != len(params):
        return "the model shares a parameter between layers"
    return _why_not_vmapped(task, model)


def _why_not_vmapped(task: Task, model: nn.Module) -> str | None:
    """Try one vmapped gradient on two rows, and see whether it changes a buffer."""
    shapes = _Shapes(model)
    inputs, targets = task.train.inputs[:2], task.train.targets[:2]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    flat = shapes.flatten(model).expand(2, -1).clone()
    try:
        with seeded(0, task.device):
            model(inputs)
            changed = [n for n, b in model.named_buffers() if not torch.equal(b, buffers[n])]
            if changed:
                return f"a training step changes the model's buffer {changed[0]}"
            gradients_of(model, task.loss, shapes)(flat, inputs, targets)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        return f"vmap refuses the model: {' '.join(str(error).split())[:120]}"
    return None


class _Shapes:
    """How a model's parameters lie one after another in a flat vector [P]."""

    def __init__(self, model: nn.Module) -> None:
        named = list(model.named_parameters())
        self.names = [name for name, _ in named]
        self.shapes = [p.shape for _, p in named]
        self.sizes = [p.numel() for _, p in named]

    def flatten(self, model: nn.Module) -> Tensor:
        return torch.cat([p.detach().reshape(-1) for p in model.parameters()])

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        parts = torch.split(flat, self.sizes)
        return {n: p.view(s) for n, p, s in zip(self.names, parts, self.shapes, strict=True)}


def gradients_of(model: nn.Module, loss: Loss, shapes: _Shapes, *, own: bool = False) -> Gradients:
    """Make the function (params [K, P], inputs, targets) -> (grads [K, P], losses [K]).

    With `own`, each run has a batch of its own: inputs [K, B, ...] and targets [K, B].
    """

    def one(flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(functional_call(model, shapes.named(flat), (inputs,)), targets)

    batch = 0 if own else None
    every: Gradients = vmap(grad_and_value(one), in_dims=(0, batch, batch), randomness="different")
    return every


class Template:
    """What all stacks of one task share: its model's code, and the function of its gradients.

    Args:
        task: what is trained.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = task.model(0).train()
        self.shapes = _Shapes(self.model)
        self._gradients: dict[bool, Gradients] = {}

    @property
    def draws(self) -> bool:
        """Whether the model has layers that draw random numbers while it trains."""
        return any(isinstance(module, _RANDOM_LAYERS) for module in self.model.modules())

    def gradients(self, *, own: bool) -> Gradients:
        """Give the function of the gradients, for batches that runs share or have of their own."""
        if own not in self._gradients:
            self._gradients[own] = gradients_of(self.model, self.task.loss, self.shapes, own=own)
        return self._gradients[own]

    def weights(self, seed: int) -> Tensor:
        """Give the weights [P] that a seed decides."""
        return self.shapes.flatten(self.task.model(seed))


class Stack:
    """K runs of one task, trained together.

    Args:
        template: the task's.
        seeds: the seed of each run's weights.
        optimizer: a fusable optimizer.
    """

    def __init__(self, template: Template, seeds: Sequence[int], optimizer: OptimizerSpec) -> None:
        self._template = template
        self._spec = optimizer
        weights = {seed: template.weights(seed) for seed in sorted(set(seeds))}
        self.own_batches = len(weights) > 1
        self._gradients = template.gradients(own=self.own_batches)
        self._hold(torch.stack([weights[seed] for seed in seeds]), {})

    def __len__(self) -> int:
        return len(self.params)

    def _hold(self, params: Tensor, state: dict[str, Any]) -> None:
        self.params = nn.Parameter(params)
        self._before = torch.empty_like(params)
        self.optimizer = self._spec.make([self.params], lr=1.0)
        if state:
            self.optimizer.state[self.params] = state

    def step(self, inputs: Tensor, targets: Tensor, rates: Tensor) -> Tensor:
        """Make one step of every run, each at its own rate.

        Args:
            inputs: `[B, ...]` for all runs, or `[K, B, ...]` when the runs' seeds differ.
            targets: `[B]` or `[K, B]`.
            rates: `[K, 1]`, on the device.

        Returns:
            The losses `[K]` before the step.
        """
        self.params.grad, losses = self._gradients(self.params.detach(), inputs, targets)
        self._before.copy_(self.params.detach())
        self.optimizer.step()
        with torch.no_grad():
            torch.lerp(self._before, self.params, rates, out=self.params)
        return losses

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all runs but those; the others go on as if nothing had happened."""
        index = torch.tensor(rows, device=self.params.device)
        old = self.optimizer.state[self.params]
        state = {
            name: value[index] if isinstance(value, Tensor) and value.dim() > 0 else value
            for name, value in old.items()
        }
        self._hold(self.params.detach()[index], state)

    @torch.no_grad()
    def evaluate(self, split: Split) -> tuple[Tensor, Tensor]:
        """Give each run's mean loss and accuracy on a split, `[K]` and `[K]` (no sync)."""
        model, shapes, loss = self._template.model, self._template.shapes, self._template.task.loss
        model.eval()

        def one(flat: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            outputs = functional_call(model, shapes.named(flat), (inputs,))
            right = (outputs.argmax(dim=-1) == targets).sum()
            return loss(outputs, targets) * len(targets), right

        every = vmap(one, in_dims=(0, None, None))
        numbers = len(self) * max(split.inputs[0].numel(), 1)
        rows = max(16, min(len(split), _EVALUATION_NUMBERS // numbers))
        sums = [
            every(self.params.detach(), split.inputs[i : i + rows], split.targets[i : i + rows])
            for i in range(0, len(split), rows)
        ]
        model.train()
        losses, right = (
            torch.stack(parts).sum(dim=0) / len(split) for parts in zip(*sums, strict=True)
        )
        return losses, right
