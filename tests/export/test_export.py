"""Exporters: every format is named in the help, writes a file, and refuses what it can't hold."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schedsearch import Schedule, Warmup, load_schedule, open_run
from schedsearch.errors import ScheduleError, StorageError
from schedsearch.export import EXPORTERS, find_exporter, save_export
from schedsearch.export.exporter import Exporter
from schedsearch.report.best_json import best_of

SCHEDULE = Schedule("WarmupStableDecay", 0.3, {"decay": "cosine"})
ENVIRONMENT = os.environ | {"COLUMNS": "200"}
PLATEAU = Schedule("ReduceLROnPlateau", 0.3)

each_exporter = pytest.mark.parametrize("exporter", EXPORTERS, ids=lambda each: each.name)


@each_exporter
def test_every_format_writes_a_file_and_is_in_the_help(
    exporter: Exporter, cli: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    help_text = " ".join(cli("export", "--help")[1].split())
    assert f"{exporter.name}: {exporter.about}" in help_text
    path = tmp_path / "new" / f"lr{exporter.suffix}"
    steps = ("--total-steps", 50) * exporter.needs_total_steps
    given = (finished / "best.json", "--to", exporter.name, "-o", path, *steps)
    assert cli("export", *given) == (0, f"{path}\n", "")
    assert path.stat().st_size > 50


@each_exporter
def test_a_format_that_needs_a_horizon_says_so(exporter: Exporter, tmp_path: Path) -> None:
    if not exporter.needs_total_steps:
        save_export(exporter, SCHEDULE.to_dict(), tmp_path / "file")
        return
    with pytest.raises(ScheduleError, match="needs a horizon: name --total-steps"):
        save_export(exporter, SCHEDULE.to_dict(), tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_json_keeps_all_of_best_json(
    cli: Callable[..., Any], finished: Path, tmp_path: Path
) -> None:
    of_run, of_file = tmp_path / "run.json", tmp_path / "file.json"
    cli("export", finished, "-o", of_run)
    cli("export", finished / "best.json", "--to", "json", "-o", of_file)
    assert of_run.read_bytes() == of_file.read_bytes() == (finished / "best.json").read_bytes()
    assert json.loads(of_run.read_text()) == best_of(open_run(finished))


def test_a_schedule_of_its_own_is_written_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    save_export(find_exporter("json"), SCHEDULE.to_dict(), path)
    assert load_schedule(path) == SCHEDULE


@pytest.mark.parametrize(
    "schedule",
    [SCHEDULE, Schedule("StepLR", 0.1, warmup=Warmup(0.1)), Schedule("REX", 1, step_unit="epoch")],
)
def test_csv_holds_the_rate_of_each_step_exactly(schedule: Schedule, tmp_path: Path) -> None:
    path = tmp_path / "lr.csv"
    save_export(find_exporter("csv"), schedule.to_dict(), path, total_steps=50)
    head, *rows = csv.reader(path.read_text().splitlines())
    assert head == [schedule.step_unit, "lr"]
    assert [int(step) for step, _ in rows] == list(range(1, 51))
    assert [float(rate) for _, rate in rows] == schedule.trace(50)


def test_csv_refuses_a_schedule_that_reacts_to_a_metric(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="reacts to val_loss: its rates are known only after"):
        save_export(find_exporter("csv"), PLATEAU.to_dict(), tmp_path / "lr.csv", total_steps=50)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        save_export(find_exporter("json"), SCHEDULE.to_dict(), tmp_path / "file" / "best.json")


def test_mistakes_are_one_line(refused: Callable[..., str], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert "did you mean 'json'?" in refused("export", other, "--to", "jsn")
    assert f"{other}: this is no schedule" in refused("export", other)
    assert "there is no run" in refused("export", tmp_path / "none")


ADDED = """
import sys
from schedsearch import export
from schedsearch.export.exporter import Exporter

def text(schedule, content, total_steps):
    return f"{schedule.family} for {total_steps} steps"

export.EXPORTERS += (Exporter("words", "a few words", ".txt", text, needs_total_steps=True),)
from schedsearch.cli.app import main
sys.argv = ["schedsearch", "export", *sys.argv[1:]]
main()
"""


def test_an_added_exporter_works_everywhere(tmp_path: Path) -> None:
    def call(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ADDED, *map(str, args)]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=ENVIRONMENT
        )

    (tmp_path / "schedule.json").write_text(SCHEDULE.to_json())
    assert "words: a few words" in " ".join(call("--help").stdout.split())
    assert call("schedule.json", "--to", "words", "--total-steps", 7).returncode == 0
    assert (tmp_path / "best.txt").read_text() == "WarmupStableDecay for 7 steps"
    assert "needs a horizon" in call("schedule.json", "--to", "words").stderr
    assert "(allowed: json, csv, words)" in call("schedule.json", "--to", "nothing").stderr
