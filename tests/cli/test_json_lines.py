"""What `--json` and `--quiet` print: nothing but JSON, or nothing but the result."""

import json
import signal
from collections.abc import Callable
from dataclasses import fields
from math import inf, nan
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedsearch import load_schedule, open_run
from schedsearch.cli.show.json_lines import KINDS, JsonLines, as_markdown, as_text, line_of
from schedsearch.confirmation.read import confirmation_of
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.events import Event, Note, Trained

Command = Callable[..., tuple[int, str, str]]
StudyFile = Callable[..., Path]
KEYS = {kind.name: {"event", "time", *kind.keys} for kind in KINDS}


def parsed(out: str) -> list[dict[str, Any]]:
    """Read lines of strict JSON, each with the keys that its kind is documented to have."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in out.splitlines()]
    for line in lines:
        assert set(line) == KEYS[line["event"]]
    return lines


def test_the_documented_keys_are_those_of_the_values() -> None:
    for kind in KINDS:
        assert list(kind.keys) == [field.name for field in fields(kind.made_of)], kind.name
    assert set(get_args(Event)) <= {kind.made_of for kind in KINDS}, "every event has a line"
    assert len(KEYS) == len(KINDS)


def test_the_table_is_printed_in_both_forms(cli: Command) -> None:
    assert cli("events") == (0, as_text(), "")
    assert cli("events", "--markdown") == (0, as_markdown(), "")
    for kind in KINDS:
        assert f"| `{kind.name}` |" in as_markdown()
        assert all(f"`{key}`" in as_markdown() and key in as_text() for key in kind.keys)


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    line = line_of(Note(text))
    assert len(line.splitlines()) == 1
    assert json.loads(line)["text"] == text


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_what_is_no_number_is_null(value: float) -> None:
    line = line_of(Trained(0, "diverged", "StepLR", value, 1, 1, None, None, 0.1))
    assert parsed(line)[0]["value"] is None


def test_a_run_prints_its_events_and_its_result(
    cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    file = study_file(
        name="r",
        trials=9,
        training={"total_steps": 90},
        fidelity={"kind": "squeeze", "rungs": [30], "min_steps": 30, "checks": 2},
        confirmation={"seeds": 4, "finalists": 2},
    )
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--json")
    assert (code, err) == (0, "")
    lines = parsed(out)
    kinds = [line["event"] for line in lines]
    assert set(kinds) == {"chosen", "started", "rung", "trial", "confirming", "ahead", "result"}
    assert [line["run"] for line in lines if line["event"] == "started"] == ["r/fidelity", "r"]
    trials = [line["trial"] for line in lines if line["event"] == "trial"]
    assert sorted(trials) == sorted([*range(2), *range(9)])
    assert kinds.count("result") == 1
    result, run = lines[-1], open_run(runs_dir / "r")
    confirmed = confirmation_of(run)
    assert confirmed is not None
    assert result["confirmed"] is result["concluded"] is True
    assert Schedule.from_dict(result["schedule"]) == confirmed.winner.finalist.schedule
    assert load_schedule(result["best_path"]) == confirmed.winner.finalist.schedule
    assert result["test"] == confirmed.winner.test
    assert Path(result["report_path"]).is_file()
    assert result["trials"] == 9
    assert result["training_seconds"] > result["storing_seconds"] > 0

    again = parsed(cli("confirm", runs_dir / "r", "--seeds", 5, "--json")[1])
    assert {line["event"] for line in again} == {"chosen", "confirming", "ahead", "result"}
    assert again[-1]["trials"] == 0, "a confirmation trains no trial of the search"
    assert again[-1]["best_path"] == result["best_path"]


def test_quiet_json_is_the_result_alone(
    cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    file = study_file(name="r", trials=2)
    out = cli("run", file, "--runs-dir", runs_dir, "--json", "--quiet", "--no-report")[1]
    (result,) = parsed(out)
    assert (result["event"], result["confirmed"], result["report_path"]) == ("result", False, None)
    assert result["trial"] == open_run(runs_dir / "r").best.trial


def test_notes_of_a_quiet_run_go_to_standard_error(
    cli: Command, study_file: StudyFile, runs_dir: Path
) -> None:
    """A rung that is left out is a note; the result stays the result."""
    file = study_file(name="r", trials=2, fidelity={"kind": "squeeze"})
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--quiet")
    assert code == 0
    assert out.lstrip().startswith("Best trial of each family (r):")
    assert err.startswith("no rungs below the full horizon")
    assert "60 steps are less than twice fidelity.min_steps = 100" in err


def test_a_plan_is_one_line(cli: Command, study_file: StudyFile) -> None:
    (plan,) = parsed(cli("run", study_file(name="r"), "--dry-run", "--json")[1])
    assert (plan["event"], plan["run"], plan["trials"]) == ("plan", "r", 4)
    assert plan["steps"] == 4 * 60


@pytest.mark.parametrize(
    "options", [["--trials", "0"], ["--no-such-option"], ["--device", "cuda:99"]]
)
def test_a_mistake_is_a_line_too(cli: Command, study_file: StudyFile, options: list[str]) -> None:
    plain = cli("run", study_file(name="r"), *options)
    code, out, err = cli("run", study_file(name="r"), "--json", *options)
    (error,) = parsed(out)
    assert (code, err) == (plain[0], plain[2])
    assert plain[1] == ""
    assert (error["event"], error["exit_code"]) == ("error", code)
    assert err == f"schedsearch: {error['message']}\n"
    assert code == 2


def test_what_a_task_of_the_users_own_prints_is_kept_apart(
    cli: Command, study_file: StudyFile, runs_dir: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    (tmp_path / "talker.py").write_text(
        "from dataclasses import replace\n"
        "from schedsearch import TASKS\n"
        "digits = next(task for task in TASKS if task.name == 'digits')\n"
        "def load(folder):\n"
        "    print('hello')\n"
        "    return digits.load(folder)\n"
        "SOURCE = replace(digits, name='talker:SOURCE', load=load)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    file = study_file(name="r", trials=1, task="talker:SOURCE")
    code, out, err = cli("run", file, "--runs-dir", runs_dir, "--json")
    assert code == 0, out
    assert "hello" in err
    assert parsed(out)[-1]["event"] == "result"


def test_an_interrupted_run_ends_with_an_error(
    cli: Command, study_file: StudyFile, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shows = JsonLines.__call__

    def interrupt(display: JsonLines, event: Any) -> None:
        shows(display, event)
        if isinstance(event, Trained):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(JsonLines, "__call__", interrupt)
    code, out, err = cli("run", study_file(name="r"), "--runs-dir", runs_dir, "--json")
    last = parsed(out)[-1]
    assert (code, last["event"], last["exit_code"]) == (130, "error", 130)
    assert last["message"].startswith("interrupted: finished trials are kept")
    assert err == f"schedsearch: {last['message']}\n"
    monkeypatch.undo()
    assert cli("run", study_file(name="r"), "--runs-dir", runs_dir, "-q")[0] == 0, "it goes on"
