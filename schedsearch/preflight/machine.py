"""What is seen of the machine: the engine, the time of a step, memory, the study's minutes."""

from collections.abc import Iterator

import psutil
import torch

from schedsearch.cost import estimate
from schedsearch.preflight.finding import Finding
from schedsearch.search.plan import Plan
from schedsearch.training.engines import engines_for

_MUCH = 0.8  # share of the memory that is worth a warning


def see_cost(plan: Plan) -> Iterator[Finding]:
    """Return the engine, or why not the fused one, and what the study takes of time and memory."""
    found = estimate(plan)
    engines = engines_for(plan.engine.engine)
    refusals = {engine.name: engine.why_not(plan.recipe) for engine in engines}
    notes = [f"not {name}: {why}" for name, why in refusals.items() if why is not None]
    said = [found.way.summary, found.way.reason]
    said += [note for note in notes if note not in found.way.reason]
    yield Finding("engine", "ok", "; ".join(filter(None, said)))
    took = found.way.step_seconds * 1e3
    yield Finding("step", "ok", f"{took:.3g} ms for each training")
    yield _memory(plan.recipe.task.device)
    text = (
        f"about {found.minutes:.1f} minutes for {found.trials} trials and {found.confirming} "
        f"trainings of the confirmation, {found.megabytes:.1f} MB stored"
    )
    yield Finding("study", "ok", text)


def _memory(device: torch.device) -> Finding:
    used, whole = psutil.Process().memory_info().rss, psutil.virtual_memory().total
    text, share = f"{used / 1e9:.1f} of {whole / 1e9:.1f} GB", used / whole
    if device.type == "cuda":
        used, whole = torch.cuda.max_memory_reserved(device), torch.cuda.mem_get_info(device)[1]
        text += f"; of the GPU {used / 1e9:.1f} of {whole / 1e9:.1f} GB"
        share = max(share, used / whole)
    return Finding("memory", "warning" if share > _MUCH else "ok", text)
