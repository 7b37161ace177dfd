"""Interrupted, killed, shared: the same for every phase, since all have one queue and one loop.

Each phase is entered by a small study of its own (helpers/phases.py); whatever happens to a process
in it, the study ends with the numbers of one that nothing happened to.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from phases import PHASES, Phase, check_same, check_whole, everything, run_and_die

from schedsearch import StudyConfig, open_run, run_study
from schedsearch.launch import Outcome
from schedsearch.search.events import Event
from schedsearch.store.leases import LEASE, OWNER
from schedsearch.store.names import confirmation_name
from schedsearch.store.place import study_ids

TRIED = ("a rung", "confirming", "scores")
each_phase = pytest.mark.parametrize("phase", PHASES, ids=lambda phase: phase.name)
# Where two processes race, all phases share one loop: some are tried here, all by scripts/soak.
some_phases = pytest.mark.parametrize(
    "phase",
    [
        pytest.param(each, id=each.name, marks=() if each.name in TRIED else pytest.mark.soak)
        for each in PHASES
    ],
)
Launch = Callable[..., Outcome]
Race = Callable[..., list[tuple[int, str, str]]]


@pytest.fixture(scope="module")
def undisturbed(
    make_config: Callable[..., StudyConfig], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Phase], dict[str, pd.DataFrame]]:
    """Return what a phase's study finds when nothing happens; each is run once."""
    known: dict[str, dict[str, pd.DataFrame]] = {}

    def found(phase: Phase) -> dict[str, pd.DataFrame]:
        if phase.name not in known:
            folder = tmp_path_factory.mktemp("undisturbed")
            config = make_config(**phase.study)
            outcome = run_study(config, runs_dir=folder, device="cpu", report=False)
            check_whole(outcome.run)
            known[phase.name] = everything(outcome.run)
        return known[phase.name]

    return found


@each_phase
def test_an_interrupted_phase_is_finished_by_the_next_call(
    launch: Launch, undisturbed: Callable[..., Any], runs_dir: Path, phase: Phase
) -> None:
    stopped: list[Event] = []

    def stop(event: Event) -> None:
        if phase.within(event):
            stopped.append(event)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(run_options={"on_event": stop}, **phase.study)
    assert stopped
    run = open_run(runs_dir / "tiny")
    assert run.being_trained() == 0, "all is given back"
    outcome = launch(**phase.study)
    assert outcome.winner is not None
    check_whole(outcome.run)
    check_same(phase, everything(outcome.run), undisturbed(phase))


@pytest.fixture
def killed(
    forks: Any, make_config: Callable[..., StudyConfig], runs_dir: Path
) -> Callable[[Phase], None]:
    """Return a runner of a phase's study in a process that dies in the middle of the phase."""

    def run(phase: Phase) -> None:
        process = forks.Process(
            target=run_and_die,
            args=(make_config(**phase.study), str(runs_dir), PHASES.index(phase)),
        )
        process.start()
        process.join(60)
        assert process.exitcode == -9, "it did not come to the phase"

    return run


@each_phase
def test_after_kill_9_the_next_call_finishes_the_phase(
    launch: Launch,
    killed: Callable[[Phase], None],
    undisturbed: Callable[..., Any],
    phase: Phase,
) -> None:
    killed(phase)
    outcome = launch(**phase.study)
    assert outcome.winner is not None
    check_whole(outcome.run)
    check_same(phase, everything(outcome.run), undisturbed(phase))


@some_phases
def test_two_processes_take_over_what_a_killed_one_left(
    killed: Callable[[Phase], None],
    race: Race,
    study_file: Callable[..., Path],
    undisturbed: Callable[..., Any],
    runs_dir: Path,
    phase: Phase,
) -> None:
    """Both look at the abandoned trials at the same moment; each trial goes to one of them."""
    killed(phase)
    command = ("run", study_file(**phase.study), "--runs-dir", runs_dir, "--no-report")
    ends = race(command, command)
    assert [(code, err) for code, _, err in ends] == [(0, "")] * 2
    assert any("Written to" in out for _, out, _ in ends), "the one that ended last concluded"
    run = open_run(runs_dir / "tiny")
    check_whole(run)
    found, expected = everything(run), undisturbed(phase)
    if phase.name in ("tuning", "confirming", "scores"):  # else who is promoted depends on both
        check_same(phase, found, expected)
    assert len(found["trials"]) == len(expected["trials"])
    assert len(found["confirmation"]) == len(expected["confirmation"])


@some_phases
def test_two_processes_on_a_fresh_folder_share_the_work(
    race: Race, study_file: Callable[..., Path], runs_dir: Path, phase: Phase
) -> None:
    command = ("run", study_file(**phase.study), "--runs-dir", runs_dir, "--no-report")
    ends = race(command, command)
    assert [(code, err) for code, _, err in ends] == [(0, "")] * 2
    run = open_run(runs_dir / "tiny")
    check_whole(run)
    assert len(run.trials()) == phase.study["trials"]


def test_two_machines_share_the_work_without_a_lock(
    race: Race, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """They have a database in common, and neither a folder nor a lock."""
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    (phase,) = (phase for phase in PHASES if phase.name == "confirming")
    file = study_file(name="shared", **phase.study)
    ends = race(
        *(("run", file, "--runs-dir", tmp_path / m, "--storage", url) for m in ("here", "there"))
    )
    assert [(code, err) for code, _, err in ends] == [(0, ""), (0, "")]
    check_whole(open_run(url, "shared"))


def test_trials_of_a_living_process_are_left_to_it(launch: Launch, runs_dir: Path) -> None:
    """A confirmation that another machine trains a part of is concluded by whoever ends last."""
    (phase,) = (phase for phase in PHASES if phase.name == "confirming")
    taken: list[int] = []

    def stop(event: Event) -> None:
        if phase.within(event):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        launch(run_options={"on_event": stop}, **phase.study)
    run = open_run(runs_dir / "tiny")
    study_id = study_ids(run.storage, "tiny")[confirmation_name("tiny")]
    for trial in run.storage.get_all_trials(study_id):
        if trial.state.name == "WAITING" and not taken:
            taken.append(trial._trial_id)
            run.storage.set_trial_state_values(trial._trial_id, type(trial.state).RUNNING)
            run.storage.set_trial_user_attr(trial._trial_id, LEASE, time.time() + 100)
            run.storage.set_trial_user_attr(trial._trial_id, OWNER, "elsewhere:1:1.00")
    assert taken
    outcome = launch(**phase.study)
    assert outcome.winner is None
    assert not outcome.best_path.exists()
    states = [t.state.name for t in run.storage.get_all_trials(study_id)]
    assert states.count("RUNNING") == 1
    assert "WAITING" not in states
