"""What is shown while a search goes on: lines, live lines, or next to nothing."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from schedsearch.launch import Outcome
from schedsearch.progress.eta import BLOCKS, Pace, spark, time_left
from schedsearch.progress.live import Display, make_display
from schedsearch.search.events import Ahead, AtRung, Confirming, Event, Note, Started, Trained


def trained(finished: int, total: int, best: float | None = 0.1234, **more: object) -> Trained:
    given: dict[str, object] = {
        "trial": finished - 1,
        "state": "finished",
        "family": "StepLR",
        "value": 0.2,
        "finished": finished,
        "total": total,
        "best_value": best,
        "best_family": None if best is None else "LinearLR",
        "seconds": 0.1,
    }
    return Trained(**(given | more))  # type: ignore[arg-type]


EVENTS: list[Event] = [
    Started("digits", 0, 3),
    trained(1, 3, None),
    Note("trial 1 was left by a process that ended: trained again"),
    trained(2, 3),
    trained(3, 3),
]


def shown(events: Sequence[Event], *, terminal: bool, quiet: bool = False, width: int = 100) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=width)
    with make_display(console, quiet=quiet) as display:
        for event in events:
            display(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))  # ten seconds pass between two events
    monkeypatch.setattr("schedsearch.progress.live.time.monotonic", lambda: next(clock))
    text = shown(EVENTS, terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.splitlines() == [
        "digits: 3 trials",
        "1/3 trials, none finished yet, 6.0/min",
        "trial 1 was left by a process that ended: trained again",
        "2/3 trials, best 0.1234 LinearLR, 4.0/min",
        "3/3 trials, best 0.1234 LinearLR, 4.5/min",
    ]


def test_the_time_left_is_that_of_the_steps_that_are_planned_still(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = iter([0.0, 0.0, 0.0, 10.0, 10.0, 20.0, 20.0, 30.0])
    monkeypatch.setattr("schedsearch.progress.live.time.monotonic", lambda: next(now))
    events: list[Event] = [Started("digits", 0, 4), Ahead(4000), Ahead(3000), trained(1, 4)]
    events += [Ahead(1000), trained(4, 4), Confirming("confirming", 0, 8)]
    assert shown(events, terminal=False).splitlines()[1:] == [
        "1/4 trials, best 0.1234 LinearLR, 6.0/min, about 30 s left",
        "4/4 trials, best 0.1234 LinearLR, 12/min, about 7 s left",
        "confirming: 0/8 trainings",
    ]


def test_lines_come_every_few_seconds_and_at_the_end() -> None:
    many: list[Event] = [Started("digits", 10, 200), *(trained(i, 200) for i in range(11, 201))]
    lines = shown(many, terminal=False).splitlines()
    assert lines[0] == "digits: 200 trials, 10 finished before"
    assert lines[-1].startswith("200/200 trials, best 0.1234 LinearLR")
    assert len(lines) == 2


RUNGS: list[Event] = [
    AtRung(rung, 3, many, steps, f"{steps} steps")
    for rung, many, steps in ((1, 27, 67), (2, 9, 200), (3, 1, 600))
]


def test_rungs_have_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [EVENTS[0], RUNGS[0], trained(1, 3), RUNGS[1], trained(2, 3), RUNGS[2]]
    quick = shown(events, terminal=False).splitlines()
    assert quick == ["digits: 3 trials", "rung 1/3: 27 schedules at 67 steps"]
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("schedsearch.progress.live.time.monotonic", lambda: next(clock))
    slow = shown(events, terminal=False).splitlines()
    assert slow[1] == quick[1]
    assert slow[3] == "rung 2/3: 9 schedules at 200 steps"
    assert slow[5] == "rung 3/3: 1 schedule at 600 steps"
    assert shown(RUNGS, terminal=False, quiet=True) == ""


def test_a_live_bar_names_the_rung() -> None:
    text = shown([Started("a[red]b", 0, 3), *RUNGS, trained(3, 3)], terminal=True)
    assert "a[red]b: rung 3/3: 1 schedule at 600 steps" in text


def lines_of(text: str) -> list[str]:
    """Return the lines that a terminal was given, each without what moves and colours it."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return re.split(r"[\r\n]+", plain)


@pytest.mark.parametrize("width", [20, 40, 60, 200])
def test_a_live_line_never_wraps(width: int) -> None:
    events = [Started("a-run-with-quite-a-long-name" * 2, 0, 1000), *RUNGS, Ahead(10**9)]
    events += [
        trained(i, 1000, 1 / i, best_family="ReduceLROnPlateau+StepLR") for i in range(1, 99)
    ]
    lines = lines_of(shown(events, terminal=True, width=width))
    assert max(map(cell_len, lines)) <= min(width, 100)
    assert any(line.startswith("best 0.0102 Reduce"[: width - 1]) for line in lines)
    assert any(line.startswith("a-run-with") for line in lines)
    if width >= 60:
        assert any("98/1000 trials" in line for line in lines)
        assert any(set(BLOCKS) & set(line) for line in lines)


def test_nothing_is_left_of_live_lines() -> None:
    text = shown([*EVENTS, *RUNGS, Confirming("confirming", 1, 8)], terminal=True)
    erased = "\x1b[1A\x1b[2K"
    assert text.endswith(erased * 3), "the last three lines, from below"
    assert text.removesuffix(erased * 3).endswith("\x1b[?25h\r"), "the cursor is shown again"


def test_quiet_tells_only_what_a_person_should_know() -> None:
    for terminal in (True, False):
        assert shown([EVENTS[0], EVENTS[1], EVENTS[3]], terminal=terminal, quiet=True) == ""
        text = shown(EVENTS, terminal=terminal, quiet=True)
        assert text == "trial 1 was left by a process that ended: trained again\n"


@pytest.mark.parametrize("name", ["digits", "a[bold]b", "[/]", "[red", "x]", "[/nothing]", "größe"])
def test_a_live_bar_takes_any_name(name: str) -> None:
    events = [Started(name, 0, 3), *EVENTS[1:]]
    text = shown(events, terminal=True)
    assert "\x1b" in text
    assert name in text
    assert "3/3" in text
    assert "best 0.1234 LinearLR" in text
    assert "trial 1 was left" in text


IN_A_NOTEBOOK = """
import json
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from rich.console import Console
from schedsearch.progress.live import make_display
from schedsearch.search.events import Note, Started, Trained

InteractiveShell.instance()
end = Trained(2, "finished", "StepLR", 0.2, 3, 3, 0.1234, "LinearLR", 0.1)
with capture_output() as shown, make_display(Console(force_jupyter=True), quiet=False) as display:
    for event in (Started("digits", 0, 3), Note("trial 1 was left"), end):
        display(event)
print(json.dumps([[o.update, o.transient, o.data] for o in shown.outputs]))
"""


def test_a_notebook_shows_one_block_that_is_brought_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_NOTEBOOK], capture_output=True, text=True, check=True
    )
    shown = json.loads(done.stdout)
    (note,) = (each for each in shown if "trial 1 was left" in each[2]["text/plain"])
    first, *updates = (each for each in shown if each is not note)
    assert first[2]["text/plain"] == "preparing ...\n"
    assert all(update and where == first[1] for update, where, _ in updates), "in its place"
    assert "3/3 trials" in updates[-1][2]["text/plain"]
    assert "best 0.1234 LinearLR" in updates[-1][2]["text/html"]


def fail_in(display: Display) -> None:
    with display:
        display(EVENTS[0])
        raise KeyboardInterrupt


def test_a_display_closes_when_a_search_fails() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    for _ in range(2):  # a live bar that was left open would refuse a second one
        with pytest.raises(KeyboardInterrupt):
            fail_in(make_display(console, quiet=False))


def test_a_search_on_a_terminal_shows_its_bar(launch: Callable[..., Outcome]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with make_display(console, quiet=False) as display:
        launch(name="a[bold]b", trials=2, run_options={"on_event": display})
    assert isinstance(console.file, io.StringIO)
    assert "a[bold]b" in console.file.getvalue()
    assert "1/1 trainings" in console.file.getvalue(), "the last: what is read of the test split"


@given(st.lists(st.floats(1e-6, 1e6), max_size=60), st.integers(1, 30))
def test_a_sparkline_is_highest_and_lowest_where_its_values_are(
    values: list[float], width: int
) -> None:
    drawn = spark(values, width)
    assert len(drawn) == min(width, len(values))
    heights = [BLOCKS.index(block) for block in drawn]
    if len(values) <= width:
        order = sorted(range(len(values)), key=lambda i: values[i])
        assert [heights[i] for i in order] == sorted(heights)
        if len(set(heights)) > 1:
            assert (min(heights), max(heights)) == (0, len(BLOCKS) - 1)


@given(st.integers(1, 10**6), st.floats(0.01, 100.0), st.integers(2, 200))
def test_an_even_pace_is_reckoned_exactly(steps: int, seconds: float, count: int) -> None:
    pace = Pace()
    for i in range(count):
        pace.saw(i * seconds, steps * (2 * count - i))
    left = pace.seconds_left((count - 1) * seconds)
    assert left == pytest.approx(seconds * (count + 1))


def test_no_time_is_said_that_is_not_known() -> None:
    pace = Pace()
    pace.saw(0.0, 100)
    pace.saw(1.0, 150)  # more was planned
    assert time_left(pace.seconds_left(2.0)) == ""


def test_the_steps_ahead_become_fewer_down_to_none(
    launch: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schedsearch.search.timing.TELL_SECONDS", 0.0)
    told: list[Event] = []
    launch(
        trials=9,
        training={"total_steps": 90},
        fidelity={"kind": "squeeze", "rungs": [30], "min_steps": 30, "checks": 2},
        confirmation={"seeds": 4, "finalists": 2},
        families=["Constant", "LinearLR"],
        run_options={"on_event": told.append},
    )
    ahead = [event.steps for event in told if isinstance(event, Ahead)]
    check, confirm, test = 2 * 120, (16 + 4 * 4) * 90, 3 * 90
    search = 9 * 30 + 3 * 90
    assert ahead[0] == check + search + confirm + test
    assert ahead == sorted(ahead, reverse=True), "nothing diverged and nothing was added"
    assert ahead[-1] == 0
    began = next(i for i, event in enumerate(told) if isinstance(event, Confirming))
    assert [e.steps for e in told[:began] if isinstance(e, Ahead)][-1] == confirm + test
