"""What is shown while a search goes on: lines, a live bar, or next to nothing."""

import io
from collections.abc import Callable, Sequence

import pytest
from rich.console import Console

from schedsearch.launch import Outcome
from schedsearch.outputs.progress import Display, make_display
from schedsearch.search.events import AtRung, Event, Note, Started, Trained


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


def shown(events: Sequence[Event], *, terminal: bool, quiet: bool = False) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100, soft_wrap=True)
    with make_display(console, quiet=quiet) as display:
        for event in events:
            display(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_without_a_terminal_there_are_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))  # ten seconds pass between two events
    monkeypatch.setattr("schedsearch.outputs.progress.time.monotonic", lambda: next(clock))
    text = shown(EVENTS, terminal=False)
    assert "\x1b" not in text
    assert "\r" not in text
    assert text.splitlines() == [
        "digits: 3 trials",
        "1/3 trials, none finished yet, 20 s left",
        "trial 1 was left by a process that ended: trained again",
        "2/3 trials, best 0.1234 LinearLR, 15 s left",
        "3/3 trials, best 0.1234 LinearLR, 0 s left",
    ]


def test_lines_come_every_few_seconds_and_at_the_end() -> None:
    many: list[Event] = [Started("digits", 10, 200), *(trained(i, 200) for i in range(11, 201))]
    lines = shown(many, terminal=False).splitlines()
    assert lines[0] == "digits: 200 trials, 10 finished before"
    assert lines[-1].startswith("200/200 trials, best 0.1234 LinearLR")
    assert len(lines) == 2


RUNGS: list[Event] = [AtRung(1, 3, 27, 67), AtRung(2, 3, 9, 200), AtRung(3, 3, 1, 600)]


def test_rungs_have_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [EVENTS[0], RUNGS[0], trained(1, 3), RUNGS[1], trained(2, 3), RUNGS[2]]
    quick = shown(events, terminal=False).splitlines()
    assert quick == ["digits: 3 trials", "rung 1/3: 27 schedules at 67 steps"]
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("schedsearch.outputs.progress.time.monotonic", lambda: next(clock))
    slow = shown(events, terminal=False).splitlines()
    assert slow[1] == quick[1]
    assert slow[3] == "rung 2/3: 9 schedules at 200 steps"
    assert slow[5] == "rung 3/3: 1 schedule at 600 steps"
    assert shown(RUNGS, terminal=False, quiet=True) == ""


def test_a_live_bar_names_the_rung() -> None:
    text = shown([Started("a[red]b", 0, 3), *RUNGS, trained(3, 3)], terminal=True)
    assert "a[red]b, rung 3/3: 1 schedule at 600 steps" in text


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
    assert "2/2" in console.file.getvalue()
