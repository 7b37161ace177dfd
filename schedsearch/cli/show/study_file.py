"""A study file to begin with: the keys that a user touches, with their own words as comments."""

import json
import textwrap
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schedsearch.config import StudyConfig, parse_config
from schedsearch.schedules.families import DEFAULT_FAMILIES

if TYPE_CHECKING:
    from schedsearch.training.recipe import Recipe

_FEWEST_STEPS = 600
_EPOCHS = (3, 5, 10, 20, 30, 50, 100, 200, 300, 500, 1000)
_EACH = 10  # trials
_WIDTH = 98

# What is written, table by table.
_KEYS = {
    "": ("task", "model", "data", "families", "mode", "trials", "seed"),
    "training": (
        *("epochs", "batch_size", "accumulate", "optimizer", "optimizer_args", "clip_norm"),
        *("evals_per_run", "precision"),
    ),
    "space": ("peak_lr", "warmup", "warmup_frac"),
    "search": ("objective", "sampler"),
    "fidelity": ("kind", "rungs", "eta", "min_steps", "checks"),
    "confirmation": ("finalists", "seeds", "test"),
}
# Keys that most studies decide for themselves; the others stand there as comments.
_SAID = (
    *("task", "trials", "epochs", "batch_size", "optimizer", "warmup", "objective", "kind"),
    *("finalists", "seeds"),
)


def study_text(name: str, task: str, training: Mapping[str, Any], device: str) -> str:
    """Return a study file for a task; what it says was tried, and its minutes were reckoned.

    Args:
        name: the name of the study.
        task: the task.
        training: what is given of [training].
        device: where it will be trained.

    Raises:
        SchedsearchError: whatever would stop the study, in one line.
    """
    from schedsearch.cost import estimate
    from schedsearch.launch import preview
    from schedsearch.search.recipes import recipe_of

    config = parse_config({"name": name, "task": task, "training": dict(training)}, "init")
    recipe = recipe_of(config, device)
    text = "\n".join(_lines(config, recipe)) + "\n"
    written = parse_config({"name": name} | tomllib.loads(text), "init")
    found = estimate(preview(written, Path("runs"), None, device).plan)
    return (
        f"# Which learning-rate schedule fits {task} best? Written by `schedsearch init`.\n"
        f"# {found.trials} trials, and {found.confirming} trainings to be sure: about "
        f"{max(found.minutes or 0.0, 0.1):.1f} minutes here ({recipe.task.device}).\n"
        "# Keys behind a # are left to their defaults; studies/README.md has them all.\n"
        f"{text}"
    )


def _lines(config: StudyConfig, recipe: "Recipe") -> Iterable[str]:
    said = _values(config, recipe)
    for table, keys in _KEYS.items():
        fields: Any = StudyConfig.model_fields
        if table:
            fields = fields[table].annotation.model_fields
            yield from ("", f"[{table}]")
        for key in keys:
            field = fields[key]
            value, note = said.get(key, (field.get_default(), ""))
            if value is None:
                continue
            meaning, when = field.description.split("\n\n")
            yield ""
            yield from _comment(meaning)
            yield from _comment(f"When to touch it: {when[0].lower()}{when[1:]}")
            mark = "" if key in _SAID or value == "auto" else "# "
            yield f"{mark}{key} = {_toml(value)}" + (f"    # {note}" if note else "")


def _values(config: StudyConfig, recipe: "Recipe") -> dict[str, tuple[Any, str]]:
    """Return what the file says of some keys, and a note beside it."""
    from schedsearch.search.peak_lr import range_without_test
    from schedsearch.tasks.registry import find_task

    training, per_epoch = config.training, recipe.steps_per_epoch
    epochs, models = _epochs(per_epoch), list(find_task(config.task).models)
    rates = range_without_test(None, recipe.optimizer)
    objectives = [each.name for each in recipe.objectives]
    return {
        "task": (config.task, ""),
        "model": (models[0], _or(models)),
        "data": ("data", ""),
        "trials": (_EACH * len(DEFAULT_FAMILIES), f"{_EACH} for each family"),
        "epochs": (epochs, f"of {per_epoch} steps each: {epochs * per_epoch} steps"),
        "batch_size": (training.batch_size, ""),
        "optimizer": (training.optimizer, ""),
        "optimizer_args": (training.optimizer_arguments, ""),
        "peak_lr": ("auto", "") if rates is None else ([rates.low, rates.high], rates.origin),
        "objective": (objectives[0], _or(objectives)),
        "checks": (8, ""),
    }


def _epochs(steps_per_epoch: int) -> int:
    """Return a usual number of epochs whose steps are not too few to tell schedules apart.

    >>> _epochs(18), _epochs(938)
    (50, 3)
    """
    enough = (n for n in _EPOCHS if n * steps_per_epoch >= _FEWEST_STEPS)
    return next(enough, _EPOCHS[-1])


def _or(names: list[str]) -> str:
    return "or " + ", ".join(f'"{name}"' for name in names[1:]) if len(names) > 1 else ""


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent="# ", subsequent_indent="# "
    )


def _toml(value: Any) -> str:
    """Return a value as TOML, whose texts, numbers and lists are those of JSON.

    >>> _toml({"momentum": 0.9, "nesterov": True}), _toml((0.02, 0.1))
    ('{ momentum = 0.9, nesterov = true }', '[0.02, 0.1]')
    """
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key} = {_toml(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value, ensure_ascii=False)
