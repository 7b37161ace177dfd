"""Results are stored in groups: soon, also at an interrupt, and of one's own trials only."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import optuna
import pytest

from schedsearch import Curve, Run, StudyConfig
from schedsearch.search.context import open_context
from schedsearch.search.create import open_study
from schedsearch.search.draft import draft_of
from schedsearch.search.events import Event, Note, Trained
from schedsearch.search.search import run_search
from schedsearch.search.timing import Clock
from schedsearch.store import optuna_tables
from schedsearch.store.connect import open_storage
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.optuna_tables import write_results
from schedsearch.store.place import place_run
from schedsearch.store.records import read_columns, read_result, read_schedule
from schedsearch.training.choice.trainer import Trainer
from schedsearch.training.curve import Evaluation
from schedsearch.training.recipe import Ended, JobSource


def curve(steps: Sequence[int] = (12, 24, 36, 48, 60), **how: Any) -> Curve:
    return Curve(tuple(Evaluation(s, 0.1, 1.0, 1.0 / s, 0.9, 0.1) for s in steps), 2.3, **how)


@dataclass
class Acted:
    """A trainer that acts: "e0" ends job 0, "r1" evaluates job 1, "+0.4" lets seconds pass."""

    script: tuple[str, ...] = ()
    now: list[float] = field(default_factory=lambda: [100.0])
    curves: dict[int, Curve] = field(default_factory=dict)
    calls: dict[str, Callable[[], None]] = field(default_factory=dict)

    def run(self, source: JobSource) -> None:
        while jobs := source.ask(100):
            for act in self.script or tuple(f"e{i}" for i in range(len(jobs))):
                kind, number = act[0], act[1:]
                if kind == "+":
                    self.now[0] += float(number)
                elif kind == "e":
                    job = jobs[int(number)]
                    source.ended(Ended(job, self.curves.get(int(number), curve())))
                elif kind == "r":
                    source.evaluated(jobs[int(number)], curve().rows[0])
                else:
                    self.calls[act]()


@dataclass
class Searched:
    """A search that was acted: its groups as they were written, its events, its study."""

    groups: list[list[int]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    study: optuna.Study | None = None
    clock: Clock | None = None

    @property
    def trials(self) -> list[optuna.trial.FrozenTrial]:
        assert self.study is not None
        return self.study.get_trials()

    @property
    def told(self) -> list[int]:
        return [event.trial for event in self.events if isinstance(event, Trained)]


@pytest.fixture
def act(
    make_config: Callable[..., StudyConfig], runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Searched]:
    """Return a search of one cohort with a trainer that acts."""

    def run(
        *script: str,
        trials: int = 3,
        curves: dict[int, Curve] | None = None,
        calls: dict[str, Callable[[Searched], None]] | None = None,
        raises: type[BaseException] | None = None,
        **changes: Any,
    ) -> Searched:
        changes["search"] = {"batch": trials} | changes.get("search", {})
        draft = draft_of(make_config(trials=trials, **changes), "cpu")
        plan = draft.plan(draft.given_peak_lr)
        place = place_run("tiny", runs_dir, None)
        storage = open_storage(place.url)
        study = open_study(storage, place, draft, draft.given_peak_lr)
        seen = Searched(study=study)
        trainer = Acted(
            script,
            curves=curves or {},
            calls={name: partial(call, seen) for name, call in (calls or {}).items()},
        )

        def writing(storage: Any, rows: Any, owner: str) -> set[int]:
            numbers = {t._trial_id: t.number for t in study.get_trials(deepcopy=False)}
            seen.groups.append([numbers[row.trial_id] for row in rows])
            return write_results(storage, rows, owner)

        monkeypatch.setattr(optuna_tables, "write_results", writing)
        stub = SimpleNamespace(monotonic=lambda: trainer.now[0])
        monkeypatch.setattr("schedsearch.search.work.time", stub)
        found = Run(place, storage, study._storage)
        with (
            pytest.raises(raises) if raises else nullcontext(),
            open_context(found, study, nullcontext(), seen.events.append) as context,
        ):
            seen.clock = context.clock
            run_search(context, plan, cast(Trainer, trainer))
        return seen

    return run


@pytest.mark.parametrize(
    ("script", "groups"),
    [
        (("e0", "e1", "e2"), [[0], [1, 2]]),
        (("e0", "+1", "e1", "+1", "e2"), [[0], [1], [2]]),
        (("e0", "+0.3", "e1", "+0.3", "e2"), [[0], [1, 2]]),
        (("e0", "e1", "+0.6", "r2", "+9", "e2"), [[0], [1], [2]]),
        (("e0", "e1", "+0.4", "r2", "+0.4", "r2", "e2"), [[0], [1], [2]]),
        (("e0", "e1", "+0.4", "r2", "e2"), [[0], [1, 2]]),
    ],
    ids=["at once", "slow runs", "quick runs", "two stacks", "later", "too soon"],
)
def test_results_wait_for_others_but_not_for_long(
    act: Callable[..., Searched], script: tuple[str, ...], groups: list[list[int]]
) -> None:
    seen = act(*script)
    assert seen.groups == groups
    assert seen.told == [0, 1, 2]
    assert [trial.state.name for trial in seen.trials] == ["COMPLETE"] * 3
    assert seen.clock is not None
    assert seen.clock.trials == 3


def test_where_a_pruner_compares_trials_none_waits(act: Callable[..., Searched]) -> None:
    assert act("e0", "e1", "e2", search={"pruner": "MedianPruner"}).groups == [[0], [1], [2]]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_has_ended_is_kept_when_the_rest_is_interrupted(
    act: Callable[..., Searched], error: type[BaseException]
) -> None:
    def fail(seen: Searched) -> None:
        raise error

    seen = act("e0", "e1", "!", calls={"!": fail}, raises=error)
    assert [trial.state.name for trial in seen.trials] == ["COMPLETE", "COMPLETE", "WAITING"]
    assert seen.told == [0, 1]
    assert read_columns(seen.trials[1])["step"] == [12, 24, 36, 48, 60]
    assert read_columns(seen.trials[2]) == {}


def _taken(number: int) -> Callable[[Searched], None]:
    def take(seen: Searched) -> None:
        assert seen.study is not None
        storage, trial_id = seen.study._storage, seen.trials[number]._trial_id
        storage.set_trial_user_attr(trial_id, OWNER, "elsewhere/1/2:3:4.00")
        storage.set_trial_user_attr(trial_id, LEASE, 1e12)

    return take


def _finished(number: int) -> Callable[[Searched], None]:
    def finish(seen: Searched) -> None:
        assert seen.study is not None
        seen.study.tell(number, 7.0)

    return finish


@pytest.mark.parametrize(("lose", "state"), [(_taken, "RUNNING"), (_finished, "COMPLETE")])
def test_a_trial_that_is_somebody_elses_by_now_is_not_written_to(
    act: Callable[..., Searched], lose: Callable[[int], Callable[[Searched], None]], state: str
) -> None:
    seen = act("e0", "!", "e1", "e2", calls={"!": lose(1)})
    assert [t.state.name for t in seen.trials] == ["COMPLETE", state, "COMPLETE"]
    assert read_result(seen.trials[1]) == {}
    assert seen.told == [0, 2]
    notes = [event.text for event in seen.events if isinstance(event, Note)]
    schedule = read_schedule(seen.trials[1])
    assert schedule is not None
    assert notes[0] == f"trial 1 ({schedule.family}) was finished or taken elsewhere"
    assert seen.clock is not None
    assert seen.clock.trials == 2


DIVERGED = curve((12, 24), diverged=True)
AT_ONCE = curve((12,), diverged=True)
STOPPED = curve((12, 24), stopped=True)


@pytest.mark.parametrize(
    ("search_options", "ended", "state", "value"),
    [
        ({}, curve(), "COMPLETE", 1 / 60),
        ({"objective": "val_accuracy"}, curve(), "COMPLETE", 0.9),
        ({}, DIVERGED, "PRUNED", None),
        ({"pruner": "MedianPruner"}, DIVERGED, "PRUNED", 1 / 12),
        ({"pruner": "MedianPruner"}, AT_ONCE, "PRUNED", None),
        ({"pruner": "MedianPruner"}, STOPPED, "PRUNED", 1 / 24),
        ({"sampler": "GP"}, DIVERGED, "COMPLETE", 3.0 * 2.3),
        ({"sampler": "GP", "pruner": "MedianPruner"}, STOPPED, "PRUNED", 1 / 24),
        ({"sampler": "GP", "objective": "val_accuracy"}, DIVERGED, "COMPLETE", 0.0),
    ],
)
def test_the_value_is_the_one_that_optuna_would_tell(
    act: Callable[..., Searched],
    search_options: dict[str, Any],
    ended: Curve,
    state: str,
    value: float | None,
) -> None:
    seen = act(trials=1, curves={0: ended}, search=search_options)
    (trial,) = seen.trials
    assert (trial.state.name, trial.value) == (state, value)
    assert read_columns(trial)["step"] == [row.step for row in ended.rows]
    assert trial.user_attrs["diverged"] is ended.diverged
