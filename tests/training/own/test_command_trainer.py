"""A command of the user's own as a trainer: rows, stops, places, ends."""

import json
import math
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from own_trainers import ACCURACY, Bench, Jobs, job

from schedsearch.errors import TrainingError
from schedsearch.schedules.load import load_schedule

EVALUATES = "say(30); say(60)\n"
SLEEPS = 'open(f"{sys.argv[1]}.pid", "w").write(str(os.getpid())); say(30); time.sleep(600)\n'


def gone(pid: int) -> bool:
    """Return whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_rows_are_what_is_printed(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        """
print("epoch 1", {"step": 5})
say(30, 0.5, train_loss=0.75, accuracy=0.8, lr=0.01, seconds=1.5)
print('{"event": "saved"}', flush=True)
say(60, 0.25, val_accuracy=0.9)
""",
        metrics=(ACCURACY,),
    )
    one = job()
    (ended,) = bench.run(Jobs([one])).over
    first, last = ended.curve.rows
    assert (ended.job, ended.curve.diverged, ended.curve.stopped) == (one, False, False)
    assert (first.step, first.val_loss, first.train_loss) == (30, 0.5, 0.75)
    assert (first.lr, first.value("val_accuracy"), first.seconds) == (0.01, 0.8, 1.5)
    assert (last.step, last.val_loss, last.value("val_accuracy")) == (60, 0.25, 0.9)
    assert math.isnan(last.train_loss)
    assert last.lr == one.schedule.trace(60)[-1], "the schedule's own"
    assert 0 < last.seconds < 60
    assert bench.notes == []


def test_a_training_gets_its_schedule_horizon_seed_and_place(tmp_path: Path) -> None:
    script = """
print(json.dumps(sys.argv[4:]), file=sys.stderr)
say(total_steps, seed, peak=schedule["peak_lr"])
json.dump([schedule["peak_lr"], total_steps, seed, *sys.argv[4:]], open(f"{sys.path[0]}/got", "w"))
"""
    bench = Bench(tmp_path, script, "--at={slot}", "{last_step}")
    (ended,) = bench.run(Jobs([job(0.3, 80, 7)])).over
    assert json.loads((tmp_path / "got").read_text()) == [0.3, 80, 7, "--at=0", "80"]
    assert ended.curve.final.val_loss == 7.0
    assert "not kept of what the trainer reports: peak" in bench.notes[0]


def test_a_training_is_ended_where_it_is_told_to_stop(tmp_path: Path) -> None:
    """The processes are long, and none of them is there at the end, the child's child neither."""
    script = """
if os.fork() == 0:
    open(f"{sys.path[0]}/child{seed}", "w").write(str(os.getpid())); time.sleep(600)
child = f"{sys.path[0]}/child{seed}"
while not os.path.exists(child) or not os.path.getsize(child): time.sleep(0.001)
say(30); time.sleep(600)
"""
    bench = Bench(tmp_path, script, parallel=2)
    source = bench.run(Jobs([job(seed=s) for s in range(3)], stop=lambda job, row: True))
    assert [ended.curve.stopped for ended in source.over] == [True] * 3
    assert [len(ended.curve.rows) for ended in source.over] == [1] * 3
    assert all(gone(int((tmp_path / f"child{s}").read_text())) for s in range(3))


def test_what_a_training_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    script = """
if (child := os.fork()) == 0: time.sleep(600)
open(f"{sys.path[0]}/child", "w").write(str(child)); say(60)
"""
    (ended,) = Bench(tmp_path, script).run(Jobs([job()])).over
    assert not ended.curve.diverged
    assert gone(int((tmp_path / "child").read_text()))


def test_a_rung_that_cuts_a_training_ends_it_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path, SLEEPS)
    (ended,) = bench.run(Jobs([job(last_step=30)])).over
    assert (ended.curve.final.step, ended.curve.stopped, ended.curve.diverged) == (30, False, False)


def test_two_go_on_at_a_time_and_a_free_place_is_filled(tmp_path: Path) -> None:
    """The first waits for the third, which begins when the second has ended."""
    script = """
open(f"{sys.path[0]}/{seed}", "w").write(sys.argv[4])
while seed == 0 and not os.path.exists(f"{sys.path[0]}/2"): time.sleep(0.001)
say(60)
"""
    bench = Bench(tmp_path, script, "{slot}", parallel=2)
    source = bench.run(Jobs([job(seed=s) for s in range(3)]))
    assert source.over[0].job.seed == 1
    assert sorted(ended.job.seed for ended in source.over) == [0, 1, 2]
    assert [(tmp_path / str(s)).read_text() for s in range(3)] == ["0", "1", "1"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "null"])
def test_a_loss_that_is_not_finite_ends_the_training_as_diverged(
    tmp_path: Path, value: str
) -> None:
    script = f"""print('{{"step": 30, "val_loss": {value}}}', flush=True); time.sleep(600)"""
    source = Bench(tmp_path, script).run(Jobs([job()]))
    (ended,) = source.over
    assert (ended.curve.diverged, ended.curve.stopped, source.rows) == (True, False, [])
    assert ended.curve.final.step == 30


FAILING: dict[str, tuple[str, str]] = {
    "an exit code": ("raise ValueError('no data')", "ended with exit code 1 (ValueError: no data)"),
    "a signal": ("os.kill(os.getpid(), 9)", "was ended by the signal SIGKILL"),
    "no evaluation": ("print('done')", "printed no evaluation, which is a JSON object in a line"),
    "no last evaluation": ("say(30)", "after an evaluation at step 30, and without one at step 60"),
    "no loss": ("print('{\"step\": 30}')", 'reported step 30 without "val_loss": {"step": 30}'),
    "no metric": ("say(30)", 'reported step 30 without "accuracy", which [metrics] declares'),
    "a word": ("say(30, 'low')", "reported val_loss = 'low' at step 30: it is no number"),
    "half a step": ("say(1.5)", "reported step = 1.5: a whole number is needed"),
    "falling steps": ("say(30); say(30)", "reported step 30 after step 30: steps rise"),
    "too many steps": ("say(61)", "reported step 61 in a training of 60 steps"),
    "no end": ("say(30); time.sleep(600)", "took longer than training.limit_minutes = 0.005"),
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_training_that_fails_is_told_in_a_line(tmp_path: Path, kind: str) -> None:
    script, words = FAILING[kind]
    metrics = (ACCURACY,) if kind == "no metric" else ()
    limit = 0.3 if kind == "no end" else None
    bench = Bench(tmp_path, script, metrics=metrics, limit_seconds=limit)
    with pytest.raises(TrainingError) as caught:
        bench.run(Jobs([job(0.3, seed=5)]))
    text = str(caught.value)
    assert f"the trainer {words}" in text or (
        text.startswith("the trainer ended ") and words in text
    )
    assert "\n" not in text
    kept = tmp_path / "failed" / "1"
    command = f"{sys.executable} -S {bench.script} {kept / 'schedule.json'} 60 5"
    assert f": {command} (its output: {kept / 'output.txt'})" in text
    assert (kept / "output.txt").read_text().startswith(f"$ {command}\n")
    assert load_schedule(kept / "schedule.json").peak_lr == 0.3


def test_a_later_failure_counts_as_diverged(tmp_path: Path) -> None:
    script = "say(30)\nif seed == 1: sys.exit('no memory')\nsay(60)\n"
    bench = Bench(tmp_path, script)
    source = bench.run(Jobs([job(seed=s) for s in (0, 1, 2)]))
    assert [(ended.job.seed, ended.curve.diverged) for ended in source.over] == [
        (0, False),
        (1, True),
        (2, False),
    ]
    assert [row.step for row in source.over[1].curve.rows] == [30]
    (note,) = bench.notes
    assert note.startswith("a training failed, and counts as diverged: the trainer ended with exit")
    assert "exit code 1 (no memory)" in note


def test_a_failure_before_the_first_evaluation_has_a_curve_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "sys.exit(2)")
    (ended,) = bench.run(Jobs([job()]), proven=True).over
    assert ended.curve.diverged
    assert ended.curve.final.step == 0
    assert math.isnan(ended.curve.final.val_loss)


def test_the_third_failure_in_a_row_stops_and_none_of_them_is_handed_over(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "sys.exit(2) if seed else say(60)")
    source = Jobs([job(seed=s) for s in range(5)])
    with pytest.raises(
        TrainingError, match="3 trainings in a row failed, the last of them: the tr"
    ):
        bench.run(source)
    assert [ended.job.seed for ended in source.over] == [0]
    assert [one.seed for one in source.waiting] == [4]


def test_an_exit_code_after_the_last_evaluation_is_told_and_costs_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "say(60); sys.exit('no disk for the plot')")
    (ended,) = bench.run(Jobs([job()])).over
    assert not ended.curve.diverged
    assert "exit code 1 (no disk for the plot) after its last evaluation" in bench.notes[0]


def test_a_rate_that_is_not_the_schedules_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "say(30, lr=0.1); say(60, lr=0.1)")
    bench.run(Jobs([job()]))
    (note,) = bench.notes
    assert note.startswith(
        "the trainer reports lr = 0.1 at step 30, and the schedule has 0.01 there"
    )


def test_both_rates_around_the_schedulers_step_are_right(tmp_path: Path) -> None:
    """Some read the rate before scheduler.step(), some behind it."""
    one = job(steps=40)
    rates = one.schedule.trace(40)
    cut = next(step for step in range(1, 40) if rates[step] != rates[step - 1])
    for lr in rates[cut - 1 : cut + 1]:
        bench = Bench(tmp_path, f"say({cut}, lr={lr}); say(40)")
        bench.run(Jobs([one]))
        assert bench.notes == []


# The scripts ignore SIGTERM, and have a child each: all of them are killed.
STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
who = "child" if os.fork() == 0 else "self"
with open(f"{sys.path[0]}/{who}{seed}", "w") as file: file.write(str(os.getpid()))
time.sleep(600)
"""

# A search in a process of its own, which is forked from one that has imported all there is.
SEARCH = """
import signal, tempfile
from pathlib import Path
from typing import Any
from own_trainers import Bench, Jobs, job
from schedsearch.interrupts import terminated_as_interrupted
from schedsearch.training.own import process
signal.signal(signal.SIGINT, signal.default_int_handler)
tempfile.tempdir, process._GRACE_SECONDS = folder, 0.2
with terminated_as_interrupted():
    try:
        Bench(Path(folder), script, parallel=2).run(Jobs([job(seed=s) for s in range(2)]))
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_when_the_search_is_killed(
    tmp_path: Path, forks: Any, wait_until: Callable[..., None], sent: signal.Signals
) -> None:
    (tmp_path / "search.py").write_text(SEARCH)
    given = {"folder": str(tmp_path), "script": STUBBORN}
    search = forks.Process(target=runpy.run_path, args=(str(tmp_path / "search.py"), given))
    search.start()
    places = [tmp_path / f"{who}{s}" for who in ("self", "child") for s in range(2)]
    wait_until(lambda: all(place.exists() and place.read_text() for place in places))
    pids = [int(place.read_text()) for place in places]
    assert not any(map(gone, pids))
    assert list(tmp_path.glob("schedsearch-*"))
    os.kill(search.pid, sent)
    search.join(20)
    wait_until(lambda: all(map(gone, pids)), 10)
    wait_until(lambda: not list(tmp_path.glob("schedsearch-*")), 10)
