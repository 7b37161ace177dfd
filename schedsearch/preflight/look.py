"""Look at a study before it starts: one finding after the other."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import numpy as np

from schedsearch.config import StudyConfig
from schedsearch.errors import SchedsearchError
from schedsearch.preflight.data import see_duplicates, see_labels, see_numbers, see_shapes
from schedsearch.preflight.evaluation import see_metrics, see_pieces
from schedsearch.preflight.finding import Finding
from schedsearch.preflight.machine import see_cost
from schedsearch.preflight.start import see_fit, see_gradients, see_start
from schedsearch.search.draft import Draft, draft_of
from schedsearch.search.peak_lr import PeakRange
from schedsearch.search.plan import Plan
from schedsearch.tasks.end_tries import try_values
from schedsearch.tasks.registry import load_test
from schedsearch.tasks.split import Split
from schedsearch.tasks.stream import Stream
from schedsearch.tasks.task import TaskSource
from schedsearch.tasks.user_code import asking, of_task, short
from schedsearch.training.own.task import OwnTask

Look: TypeAlias = tuple[str, Callable[[], Iterator[Finding]]]

_WIDE = 1e4  # a range of rates that is wider is one in which a range test is to look
_RATES = (1e-4, 1.0)  # what is tried then
_TRIED = 4  # rates


def look_at(
    config: StudyConfig, device: str = "auto", source: TaskSource | None = None
) -> Iterator[Finding]:
    """Look at a study and its task, and yield what is found; nothing is stored.

    Args:
        config: the study.
        device: "auto", "cpu", "cuda", "cuda:1" ...
        source: what is trained, instead of the study's own `task`.
    """
    try:
        draft = draft_of(config, device, source)
    except SchedsearchError as error:
        yield Finding("study", "would fail", str(error))
        return
    yield from (Finding("note", "warning", text) for text in draft.notes)
    if isinstance(draft.recipe.task, OwnTask):
        text = "the trainer is your own: the first training of a run tries it (`--trials 1`)"
        yield Finding("trainer", "ok", text)
        return
    splits: dict[str, Split | Stream] = {}
    for name, look in _looks(draft, splits):
        try:
            yield from look()
        except SchedsearchError as error:
            yield Finding(name, "would fail", str(error))
        except Exception as error:  # of the user's own code: whatever it raises
            yield Finding(name, "would fail", short(error))


def _looks(draft: Draft, splits: dict[str, Split | Stream]) -> Sequence[Look]:
    task, recipe, plan = draft.recipe.trained_task, draft.recipe, _plan(draft)
    return (
        ("test split", lambda: _read(draft, splits)),
        ("shapes", lambda: iter([see_shapes(task, splits)])),
        ("labels", lambda: see_labels(splits)),
        ("numbers", lambda: iter([see_numbers(splits)])),
        ("duplicates", lambda: iter([see_duplicates(splits)])),
        ("start", lambda: iter([see_start(recipe, plan.training_seed)])),
        ("gradients", lambda: iter([see_gradients(task)])),
        ("one batch", lambda: iter([see_fit(recipe, _rates(plan))])),
        ("evaluation", lambda: iter([see_pieces(task)])),
        ("metrics", lambda: iter([see_metrics(task)])),
        ("engine", lambda: see_cost(plan)),
    )


def _read(draft: Draft, splits: dict[str, Split | Stream]) -> Iterator[Finding]:
    """Put the splits of a draft's task into a dictionary, the test split too."""
    task, plan = draft.recipe.trained_task, _plan(draft)
    splits |= {"training": task.train, "validation": task.validation}
    if task.has_test:
        with of_task(task.name), asking("the test split can't be read"):
            test = load_test(task, plan.data_folder, plan.source)
        try_values(task, "test", test)
        splits["test"] = test
    yield from ()


def _plan(draft: Draft) -> Plan:
    """Return the plan; where a range test is to decide the rates, with all that it tries."""
    rate = draft.space.peak_lr
    open_range = PeakRange(rate.low, rate.high)
    return draft.assumed_plan(open_range if draft.peak_lr_is_open else draft.given_peak_lr)


def _rates(plan: Plan) -> list[float]:
    """Return a few rates of a plan, the middle ones first."""
    low, high = plan.space.peak_lr.low, plan.space.peak_lr.high
    if high > _WIDE * low:
        low, high = _RATES
    rates = np.geomspace(low, high, _TRIED).tolist() if low < high else [low]
    return sorted(rates, key=lambda rate: abs(np.log(rate) - np.log(low * high) / 2))
