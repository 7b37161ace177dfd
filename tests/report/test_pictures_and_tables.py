"""Pictures of rates, and frames as text and files."""

from pathlib import Path

import matplotlib.image
import pandas as pd
import pytest

from schedsearch import FAMILIES, Schedule, Warmup, open_run
from schedsearch.errors import SchedsearchError, StorageError
from schedsearch.report.draw.matplotlib import save_figure
from schedsearch.report.draw.preview import draw_preview
from schedsearch.report.tables import render, write_frame
from schedsearch.report.wording import short_params
from schedsearch.schedules.picture import preview_rates

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("family", [family.name for family in FAMILIES])
def test_every_family_is_drawn_as_it_is_traced(family: str) -> None:
    schedule = Schedule(family, 0.1, {}, Warmup(0.1))
    rates, assumption = preview_rates(schedule, 200)
    metrics = [1.0] * 20 if schedule.reacts_to_metric else None
    assert rates == schedule.trace(200, metrics=metrics)
    assert bool(assumption) == schedule.reacts_to_metric
    figure = draw_preview(schedule, 200)
    (line,) = figure.axes[0].lines
    assert list(line.get_ydata()) == rates  # type: ignore[arg-type]
    assert list(line.get_xdata()) == list(range(1, 201))  # type: ignore[arg-type]
    assert family in figure.axes[0].get_title()


def test_a_plateau_is_drawn_with_every_cut_it_can_make() -> None:
    schedule = Schedule("ReduceLROnPlateau", 0.1, {"patience_frac": 0.0, "factor": 0.5})
    few, said = preview_rates(schedule, 200, evals=4)
    assert "never improves over 4 evaluations" in said
    assert len(set(few)) == 3, "the first evaluation is the best so far; the last cut is not used"


def test_pictures_are_pictures(tmp_path: Path) -> None:
    figure = draw_preview(Schedule("CosineAnnealingLR", 0.1), 100)
    for ending in ("png", "svg", "pdf"):
        save_figure(figure, tmp_path / f"rates.{ending}")
    assert (tmp_path / "rates.png").read_bytes().startswith(PNG)
    height, width, _ = matplotlib.image.imread(tmp_path / "rates.png").shape
    assert height > 200
    assert width > 400
    assert "<svg" in (tmp_path / "rates.svg").read_text()
    assert (tmp_path / "rates.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("name", ["rates.xyz", "none/rates.png"])
def test_pictures_that_cannot_be_written_are_a_message(tmp_path: Path, name: str) -> None:
    figure = draw_preview(Schedule("Constant", 0.1), 10)
    with pytest.raises(SchedsearchError, match="cannot write") as caught:
        save_figure(figure, tmp_path / name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_table_has_few_digits_and_blanks() -> None:
    frame = pd.DataFrame(
        {
            "family": ["StepLR", None],
            "loss": [0.123456789, float("nan")],
            "steps": pd.array([40, None], dtype="Int64"),
        }
    )
    head, first, second = render(frame).split("\n")
    assert head.split() == ["family", "loss", "steps"]
    assert first.split() == ["StepLR", "0.1235", "40"]
    assert second.strip() == ""
    assert render(frame[:0]).split() == ["family", "loss", "steps"]


def test_short_params_read_well() -> None:
    text = short_params('{"a": 0.123456, "b": [0.5, 0.75], "c": "cos", "d": 3}')
    assert text == "a=0.123 b=[0.5, 0.75] c=cos d=3"
    assert short_params(None) == short_params("{}") == ""


@pytest.mark.parametrize("what", ["trials", "curves"])
def test_frames_go_through_files_and_come_back(finished: Path, tmp_path: Path, what: str) -> None:
    frame = getattr(open_run(finished), what)()
    write_frame(frame, "parquet", tmp_path / "frame.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "frame.parquet"), frame)
    write_frame(frame, "csv", tmp_path / "frame.csv")
    again = pd.read_csv(tmp_path / "frame.csv")
    assert list(again.columns) == list(frame.columns)
    pd.testing.assert_frame_equal(again.astype(dict(frame.dtypes)), frame, check_exact=True)


def test_a_file_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1]})
    for form in ("table", "csv", "parquet"):
        with pytest.raises(StorageError, match="cannot write"):
            write_frame(frame, form, tmp_path / "none" / "frame")
