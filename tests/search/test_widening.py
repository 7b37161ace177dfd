"""A range of peak rates whose best trial lies at an edge grows once, for the rest of its run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from optuna.distributions import FloatDistribution
from optuna.search_space import intersection_search_space

from schedsearch import open_run, run_study
from schedsearch.config import StudyConfig
from schedsearch.confirmation.read import last_confirmation
from schedsearch.errors import RunError
from schedsearch.launch import Outcome
from schedsearch.report.answer import answer
from schedsearch.report.figures import peak_lr as figure
from schedsearch.report.snapshot import Snapshot
from schedsearch.search.draft import draft_of
from schedsearch.search.events import Event, Note
from schedsearch.search.mirror import Mirror
from schedsearch.search.widened import Widened, stored_widening, widened_for
from schedsearch.store.run import Run

Launch = Callable[..., Outcome]
Command = Callable[..., tuple[int, str, str]]
# rates that are all too low: the best is the highest
LOW: dict[str, Any] = {
    "name": "low",
    "families": ["Constant"],
    "trials": 16,
    "training": {"total_steps": 20, "evals_per_run": 1, "engine": "reference"},
    "space": {"peak_lr": [1e-5, 1e-3], "warmup": "none", "widen": True},
    "search": {"sampler": "TPE", "batch": 4},
    "seed": 9,  # the highest of its first eight rates lies at the edge
}
WIDE = [1e-5, 1e-2]


@pytest.mark.parametrize(
    ("best", "expected"),
    [
        ([0.28], (0.003, 3.0, "upper")),
        ([0.0031], (0.0003, 0.3, "lower")),
        ([0.1], None),
        ([], None),
        ([0.28, 0.1, 0.1, 0.1], (0.003, 3.0, "upper")),  # a quarter of the families
        ([0.28, 0.1, 0.1, 0.1, 0.1], None),
        ([0.28, 0.0031, 0.0031], (0.0003, 0.3, "lower")),
    ],
)
def test_the_side_and_the_size(
    best: Sequence[float], expected: tuple[float, float, str] | None
) -> None:
    found = widened_for(best, 0.003, 0.3, after=30)
    assert (None if found is None else (found.low, found.high, found.side)) == expected


def test_a_fixed_rate_never_grows() -> None:
    assert widened_for([0.1], 0.1, 0.1, after=30) is None


def noted(events: Sequence[Event]) -> list[str]:
    return [e.text for e in events if isinstance(e, Note) and e.text.startswith("peak_lr is wide")]


@pytest.fixture(scope="module")
def low(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, list[Event]]:
    """Return a run that has grown its range, was confirmed, and went on from 16 to 20 trials."""
    events: list[Event] = []
    runs_dir = tmp_path_factory.mktemp("runs")
    for trials, seeds in ((16, 4), (20, 0)):
        confirmation = {"seeds": seeds, "finalists": 1}
        config = make_config(**LOW | {"trials": trials, "confirmation": confirmation})
        run_study(config, runs_dir=runs_dir, device="cpu", report=False, on_event=events.append)
    return open_run(runs_dir / "low"), events


def widening(run: Run) -> Widened:
    found = stored_widening(run.attributes)
    assert found is not None
    return found


def test_the_rest_of_the_search_and_whoever_goes_on_look_further(
    low: tuple[Run, list[Event]], make_config: Callable[..., StudyConfig]
) -> None:
    run, events = low
    widened = widening(run)
    assert (widened.was_low, widened.was_high, widened.side) == (1e-5, 1e-3, "upper")
    assert widened.rates == pytest.approx(WIDE)
    assert widened.after == 8, "half of the trials"
    (text,) = noted(events)
    assert "the upper edge of 1e-05 to 0.001: since then 1e-05 to 0.01 are searched" in text
    assert run.attributes["identity"]["space.peak_lr"] == [1e-5, 1e-3]
    rates = run.trials().sort_values("trial")["peak_lr"]
    assert rates[: widened.after].max() <= 1e-3
    assert 1e-3 < rates[widened.after :].max() <= 1e-2
    drawn = [trial.distributions["peak_lr"] for trial in run.search_trials()]
    assert [d.high for d in drawn if isinstance(d, FloatDistribution)] == pytest.approx(
        [1e-3] * widened.after + [1e-2] * (20 - widened.after)
    )
    config = make_config(**LOW | {"space": LOW["space"] | {"peak_lr": WIDE}})
    assert run.place.folder is not None
    with pytest.raises(RunError, match=r"space\.peak_lr: \[1e-05, 0\.001\] -> \[1e-05, 0\.01\]"):
        run_study(config, runs_dir=run.place.folder.parent, device="cpu", report=False)


def test_it_is_shown_wherever_the_range_is(
    low: tuple[Run, list[Event]], cli: Command, study_file: Callable[..., Path]
) -> None:
    run, _ = low
    shown, folder = Snapshot.of(run), run.place.folder
    assert folder is not None
    assert shown.searched_rates() == pytest.approx(WIDE)
    table = figure.table(shown)
    assert [guide.x for guide in figure.draw(table).panels[0].guides] == pytest.approx(WIDE)
    said = widening(run).sentence()[1:]
    assert said in " ".join(answer(shown).sentences)
    assert said in cli("status", folder)[1]
    code, out, err = cli("run", study_file(**LOW), "--runs-dir", folder.parent, "--dry-run")
    assert (code, err) == (0, "")
    assert f"1e-05 to 0.001, log; a{said}" in out


def test_an_interrupted_study_goes_on_as_one_that_was_not(
    low: tuple[Run, list[Event]], launch: Launch
) -> None:
    """It is stored before it is told, and before a trial is drawn from the wider range."""

    def stop(event: Event) -> None:
        if noted([event]):
            raise KeyboardInterrupt

    changed = LOW | {"name": "cut"}
    with pytest.raises(KeyboardInterrupt):
        launch(run_options={"on_event": stop}, **changed)
    cut = launch(**changed).run
    columns = ["trial", "family", "peak_lr", "val_loss"]
    whole, again = (each.trials().sort_values("trial")[columns] for each in (low[0], cut))
    pd.testing.assert_frame_equal(whole[:16], again)
    assert widening(cut) == widening(low[0])


def test_the_sampler_learns_from_the_trials_of_before(
    low: tuple[Run, list[Event]], make_config: Callable[..., StudyConfig]
) -> None:
    """A multivariate TPE looks at parameters whose distributions are equal in all trials."""
    draft = draft_of(make_config(**LOW), "cpu")
    (part,) = draft.plan(draft.given_peak_lr).searches
    real = optuna.load_study(study_name="low", storage=low[0].storage)
    mirror = Mirror(real, part.with_rates(*widening(low[0]).rates))
    mirror.update(real.get_trials())
    trials = mirror.study.get_trials()
    expected = FloatDistribution(*widening(low[0]).rates, log=True)
    assert intersection_search_space(trials) == {"peak_lr": expected}
    assert intersection_search_space(real.get_trials()) != {"peak_lr": expected}
    assert [t.params for t in trials] == [t.params for t in real.get_trials()]
    assert mirror.sample(20)[0].distributions == {"peak_lr": expected}


def test_the_baselines_are_tuned_in_the_range_that_was_searched(
    low: tuple[Run, list[Event]],
) -> None:
    confirmed = last_confirmation(low[0])
    assert confirmed is not None
    rates = {f.finalist.schedule.family: f.finalist.schedule.peak_lr for f in confirmed.finalists}
    assert rates["CosineAnnealingLR"] > 2e-3


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        ({}, True),
        ({"peak_lr": "auto"}, True),
        ({"peak_lr": [0.1, 1.0]}, False),
        ({"peak_lr": [0.1, 1.0], "widen": True}, True),
        ({"widen": False}, False),
    ],
)
def test_a_range_that_nobody_gave_grows_by_itself(space: dict[str, Any], expected: bool) -> None:
    config = StudyConfig(name="a", task="digits", space=space)  # type: ignore[arg-type]
    assert config.space.widens is expected
