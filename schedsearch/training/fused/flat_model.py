"""Template: the model of a task as a function of a flat vector of parameters `[P]`."""

from collections.abc import Callable
from functools import cached_property
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from schedsearch.compat import is_convolution
from schedsearch.tasks.evaluate import evaluate
from schedsearch.tasks.metrics import Loss
from schedsearch.tasks.split import Split, call
from schedsearch.tasks.task import Task, seeded
from schedsearch.training.fused.conv_products import as_products
from schedsearch.training.optimizers import OptimizerSpec

FUSABLE_OPTIMIZERS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam")
Gradients: TypeAlias = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
_EVALUATION_NUMBERS = 4_000_000  # numbers in the inputs of a forward pass, over all jobs


def why_not_fused(task: Task, optimizer: OptimizerSpec) -> str | None:
    """Return in one line why jobs of a task cannot be fused; None when they can."""
    if optimizer.name not in FUSABLE_OPTIMIZERS:
        return f"the update of {optimizer.name} is not known to be linear in its rate"
    model = task.model(0).train()
    if not isinstance(task.train, Split) or task.augment is not None or task.groups is not None:
        return "the task has a stream, augmentation or parameter groups"
    params = list(model.parameters())
    if not params or any(not p.requires_grad for p in params):
        return "the model has frozen parameters"
    if len({p.dtype for p in params}) > 1:
        return "the model's parameters are of several types"
    if len(list(model.named_parameters(remove_duplicate=False))) != len(params):
        return "the model shares a parameter between layers"
    return _why_not_vmapped(task, model)


def _why_not_vmapped(task: Task, model: nn.Module) -> str | None:
    """Return why vmap fails on two rows, or which buffer a training step changes."""
    shapes = Shapes(model)
    assert isinstance(task.train, Split)
    inputs, targets = task.train.take(slice(0, 2))
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    flat = shapes.flatten(model).expand(2, -1).clone()
    try:
        with seeded(0, task.device):
            call(model, inputs)
            changed = [n for n, b in model.named_buffers() if not torch.equal(b, buffers[n])]
            if changed:
                return f"a training step changes the model's buffer {changed[0]}"
            gradients_of(model, task.train_loss, shapes)(flat, inputs, targets)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        return f"vmap refuses the model: {' '.join(str(error).split())[:120]}"
    return None


class Shapes:
    """How the parameters of a model lie in a flat vector `[P]`, in the order of its memory."""

    def __init__(self, model: nn.Module) -> None:
        named = dict(model.named_parameters())
        self._shapes = {name: p.shape for name, p in named.items()}
        self._sizes = [p.numel() for p in named.values()]
        self._last = {name for name, p in named.items() if _is_channels_last(p)}

    def flatten(self, model: nn.Module) -> Tensor:
        named = ((name, p.detach()) for name, p in model.named_parameters())
        parts = (p.permute(0, 2, 3, 1) if name in self._last else p for name, p in named)
        return torch.cat([part.reshape(-1) for part in parts])

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        found, parts = {}, torch.split(flat, self._sizes)
        for (name, shape), part in zip(self._shapes.items(), parts, strict=True):
            if name in self._last:
                channels, high, wide = shape[1:]
                found[name] = part.view(-1, high, wide, channels).permute(0, 3, 1, 2)
            else:
                found[name] = part.view(shape)
        return found


def _is_channels_last(p: Tensor) -> bool:
    """Return whether a weight is channels last; with one channel, only the strides tell."""
    return p.dim() == 4 and p.stride() != torch.empty(p.shape, device="meta").stride()


def gradients_of(model: nn.Module, loss: Loss, shapes: Shapes, *, own: bool = False) -> Gradients:
    """Return the function (params `[K, P]`, inputs, targets) -> (grads `[K, P]`, losses `[K]`).

    With `own`, each job has a batch of its own: inputs `[K, B, ...]` and targets `[K, B]`. A single
    job is not vmapped, so that a convolution keeps its memory format.
    """

    def one(flat: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return loss(functional_call(model, shapes.named(flat), (inputs,)), targets)

    of_one: Gradients = grad_and_value(one)
    dim = 0 if own else None
    of_all: Gradients = vmap(of_one, in_dims=(0, dim, dim), randomness="different")

    def gradients(params: Tensor, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if len(params) > 1:
            return of_all(params, inputs, targets)
        batch = (inputs[0], targets[0]) if own else (inputs, targets)
        grads, value = of_one(params[0], *batch)
        return grads.unsqueeze(0), value.unsqueeze(0)

    return gradients


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


class Template:
    """What all stacks of one task share: the model's code, and the function of its gradients.

    Args:
        task: what is trained.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.model = task.model(0).train()
        self.shapes = Shapes(self.model)
        self._gradients: dict[tuple[bool, bool], Gradients] = {}

    @cached_property
    def draws(self) -> bool:
        """Whether the model draws random numbers while it trains (dropout)."""
        task, device = self.task, self.task.device
        with seeded(0, device):
            model, before = task.model(0).train(), _random_state(device)
            task.loss_of(model, task.sample)
            return not torch.equal(before, _random_state(device))

    @property
    def has_convolutions(self) -> bool:
        """Whether torch would group convolutions to vmap the model."""
        return any(is_convolution(module) for module in self.model.modules())

    def gradients(self, *, own: bool = False, products: bool = False) -> Gradients:
        """Return the function of the gradients; see `gradients_of`.

        Args:
            own: whether each job has a batch of its own.
            products: whether convolutions are written as matrix products, for torch.compile.
        """
        if (own, products) not in self._gradients:
            model = as_products(self.model) if products else self.model
            every = gradients_of(model, self.task.train_loss, self.shapes, own=own)
            self._gradients[own, products] = every
        return self._gradients[own, products]

    def weights(self, seed: int) -> Tensor:
        """Return the initial weights `[P]` of a seed."""
        return self.shapes.flatten(self.task.model(seed))

    def job_bytes(self) -> int:
        """Return the bytes that one job takes.

        These are the weights, the gradients, the copy of the weights before a step, three states of
        the optimizer, and twice the activations that the gradient of one batch saves.
        """
        saved = 0

        def count(tensor: Tensor) -> Tensor:
            nonlocal saved
            saved += tensor.numel() * tensor.element_size()
            return tensor

        batch = slice(0, self.task.batch_size)
        assert isinstance(self.task.train, Split)
        with (
            seeded(0, self.task.device),
            torch.autograd.graph.saved_tensors_hooks(count, lambda t: t),
        ):
            self.task.loss_of(self.model, self.task.train.take(batch))
        weights = sum(p.numel() * p.element_size() for p in self.model.parameters())
        return 6 * weights + 2 * saved

    @torch.no_grad()
    def evaluate(self, params: Tensor) -> dict[str, Tensor]:
        """Return the loss and the metrics `[K]` of the jobs with params `[K, P]` (no sync)."""
        each = [self._evaluate_one(flat) for flat in params]
        return {name: torch.stack([values[name] for values in each]) for name in each[0]}

    def _evaluate_one(self, flat: Tensor) -> dict[str, Tensor]:
        named = self.shapes.named(flat)
        for name, parameter in self.model.named_parameters():
            parameter.copy_(named[name])
        return evaluate(self.model, self.task)
