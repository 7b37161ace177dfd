"""Warnings of the user's libraries: told once, with their number at the end."""

import re
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from torch.nn.functional import cross_entropy
from user_parts import BLOBS

from schedsearch import ConfigError, Event, Note, run_study
from schedsearch.launch import Outcome
from schedsearch.progress.warned import telling_warnings

STUDY: dict[str, Any] = {
    "trials": 2,
    "families": ["Constant"],
    "training": {
        **{"total_steps": 20, "evals_per_run": 2, "batch_size": 8, "engine": "reference"},
    },
    "space": {"warmup": "none"},
    "confirmation": {"seeds": 0},
}


def _loud(outputs: Tensor, targets: Tensor) -> Tensor:
    warnings.warn(f"the loss of {len(targets)} rows is loud", UserWarning, stacklevel=1)
    return cross_entropy(outputs, targets)


LOUD = replace(BLOBS, name="loud", loss=_loud, train_loss=None)


@pytest.fixture
def as_usual() -> Iterator[None]:
    """Show warnings as Python does by default: this suite makes them errors."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        yield


@pytest.fixture
def run(runs_dir: Path) -> Callable[..., Outcome]:
    def call(**options: Any) -> Outcome:
        return run_study(STUDY, task=LOUD, runs_dir=runs_dir, device="cpu", report=False, **options)

    return call


def notes(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


@pytest.mark.usefixtures("as_usual")
def test_a_warning_of_every_step_is_told_once_and_counted(
    run: Callable[..., Outcome], capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[Event] = []
    run(on_event=told.append)
    first, last = (text for text in notes(told) if "is loud" in text)
    assert re.fullmatch(
        r"warning: the loss of \d+ rows is loud \(UserWarning, test_quiet.py, line \d+\)", first
    )
    found = re.match(r"warning \((\d+) times\): the loss of", last)
    assert found is not None
    assert int(found[1]) >= 3 * 20, "each step of two trials and of the test"
    assert "loud" not in capsys.readouterr().err
    assert told.index(Note(first)) < len(told) // 2, "at once, not at the end"


def test_a_warning_that_is_made_an_error_stays_one(run: Callable[..., Outcome]) -> None:
    with pytest.raises(ConfigError, match=r"the loss fails .*UserWarning: .* is loud"):
        run(on_event=lambda event: None)


@pytest.mark.usefixtures("as_usual")
def test_with_nobody_to_tell_python_shows_warnings(run: Callable[..., Outcome]) -> None:
    with pytest.warns(UserWarning, match="is loud"):
        run(progress=False)


@pytest.mark.usefixtures("as_usual")
def test_what_is_ignored_and_what_is_an_error_stays_so() -> None:
    told: list[Event] = []
    warnings.filterwarnings("ignore", message="never mind")
    warnings.filterwarnings("error", category=FutureWarning)
    before = list(warnings.filters)
    with telling_warnings(told.append):
        warnings.warn("Never mind this", stacklevel=1)
        with pytest.raises(FutureWarning):
            warnings.warn("soon", FutureWarning, stacklevel=1)
        for _ in range(3):
            warnings.warn("thrice", stacklevel=1)
    assert [text.partition(" (User")[0] for text in notes(told)] == [
        "warning: thrice",
        "warning (3 times): thrice",
    ]
    assert list(warnings.filters) == before


@pytest.mark.usefixtures("as_usual")
def test_warnings_of_threads_are_told_between_events_by_who_tells_them() -> None:
    told: list[tuple[Event, int]] = []
    with telling_warnings(lambda event: told.append((event, threading.get_ident()))) as on_event:
        thread = threading.Thread(target=lambda: warnings.warn("from afar", stacklevel=1))
        thread.start()
        thread.join()
        assert not told
        on_event(Note("next"))
    texts = [event.text for event, _ in told if isinstance(event, Note)]
    assert [text.partition(" (")[0] for text in texts] == ["warning: from afar", "next"]
    assert {ident for _, ident in told} == {threading.get_ident()}


@pytest.mark.usefixtures("as_usual")
def test_many_kinds_of_warnings_are_only_counted() -> None:
    told: list[Event] = []
    with telling_warnings(told.append):
        for letter in "abcdefghijklmnopqrstuvwx":
            warnings.warn(letter * 1000, stacklevel=1)
    assert len(told) == 21
    assert notes(told)[-1] == "4 other kinds of warnings (4 times)"
    assert max(map(len, notes(told))) < 400
