"""Why the jobs of a recipe cannot be fused: all that can fail is tried, and compared."""

import torch
from torch import Tensor, nn

from schedsearch.tasks.split import Split
from schedsearch.tasks.task import seeded
from schedsearch.tasks.tree import Tree, combine, leaves, map_tensors
from schedsearch.training.fused.evaluation import close
from schedsearch.training.fused.flat_model import Template
from schedsearch.training.fused.layout import tensors_of
from schedsearch.training.recipe import Recipe

FUSABLE_OPTIMIZERS = ("SGD", "Adam", "AdamW", "NAdam", "RAdam")
_WHOLE = (torch.float32, torch.float64)  # the step of a rate of 1 is scaled: others would round it


def why_not_fused(recipe: Recipe) -> str | None:
    """Return in one line why the jobs of a recipe cannot be fused; None when they can."""
    optimizer, task = recipe.optimizer, recipe.trained_task
    if optimizer.name not in FUSABLE_OPTIMIZERS:
        return f"the update of {optimizer.name} is not known to be linear in its rate"
    if not isinstance(task.train, Split):
        return "the training examples are read by a DataLoader"
    types = {p.dtype for p in task.model(0).parameters() if p.requires_grad}
    if not types:
        return "the model has no parameter that is trained"
    if len(types) > 1:
        return "the model's parameters are of several types"
    if types.isdisjoint(_WHOLE):
        return f"the model's parameters are {str(types.pop()).removeprefix('torch.')}"
    template = Template(recipe)
    return _why_not_trained(template) or _why_not_evaluated(template)


def _why_not_trained(template: Template) -> str | None:
    """Try a step of two jobs, with a batch for both and with one for each."""
    task, layout = template.task, template.layout
    models = [task.model(seed).train() for seed in (0, 1)]
    weights = [layout.weights(model) for model in models]
    want = None if template.draws else [_plain_step(template, model) for model in models]
    for own in (False, True):
        both = combine(torch.stack, weights)
        batch = combine(torch.stack, [template.batch] * 2) if own else template.batch
        try:
            with seeded(0, task.device):
                got = template.gradients(own=own)(both, batch)
        except Exception as error:  # whatever torch, or a model under vmap, raises
            return f"vmap refuses the model: {' '.join(str(error).split())[:120]}"
        if want is None:
            continue
        pairs = zip(leaves((got, both.others)), leaves(combine(torch.stack, want)), strict=True)
        if not all(close(*pair) for pair in pairs):
            return "the gradients of two models together are not those of each by itself"
    return None


def _plain_step(template: Template, model: nn.Module) -> tuple[Tree, Tensor, Tree]:
    """Return the gradients and the loss of a batch, and the buffers after it."""
    loss = template.task.loss_of(model, template.batch) / template.recipe.accumulate
    loss.backward()  # type: ignore[no-untyped-call]
    grads = {
        name: torch.zeros_like(p) if p.grad is None else p.grad
        for name, p in model.named_parameters()
    }
    return template.layout.flat(grads), loss.detach(), template.layout.weights(model).others


@torch.no_grad()
def _why_not_evaluated(template: Template) -> str | None:
    """Say whether an evaluation, which may use the plain model, would leave it changed."""
    model = template.task.model(0).eval()
    before = map_tensors(torch.clone, tensors_of(model))
    with seeded(0, template.task.device):
        template.task.loss_of(model, template.batch)
    for name, tensor in tensors_of(model).items():
        if not torch.equal(tensor, before[name]):
            return f"an evaluation changes the model's buffer {name}"
    return None
