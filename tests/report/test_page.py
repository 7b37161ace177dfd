"""report.html: what it says, what it leaves out, what it escapes, how large it is."""

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from made_runs import confirmed_run, embedded, made_run, made_trial, many

from schedsearch import Schedule, Warmup, open_run
from schedsearch.confirmation.read import confirmation_of
from schedsearch.errors import StorageError
from schedsearch.launch import Outcome
from schedsearch.report.answer import answer, code_for
from schedsearch.report.figures import FIGURES
from schedsearch.report.page import export_report, report
from schedsearch.report.snapshot import Snapshot
from schedsearch.search.events import Event, Note
from schedsearch.store.delete import delete_run
from schedsearch.store.place import REPORT


def text_of(page: str) -> str:
    """Return what a reader sees of a page: no scripts, no style, no tags."""
    seen = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", seen)))


def sections(page: str) -> list[str]:
    return re.findall(r'<section class="figure" data-figure="(\w+)"', page)


def test_the_answer_stands_on_top() -> None:
    run = made_run(
        [
            made_trial(0, "StepLR", loss=0.2, peak_lr=0.05),
            made_trial(1, "Constant", loss=0.3),
            made_trial(2, "CosineAnnealingLR", loss=0.25),
            made_trial(3, "Constant", state="diverged"),
        ]
    )
    told = answer(run)
    assert told.headline == "StepLR peak_lr=0.05 step_frac=0.333 gamma=0.1"
    text = " ".join(told.sentences)
    assert "a validation loss of 0.2 and a validation accuracy of 95.00%" in text
    assert "Compared with Constant: its only trial reached a validation loss of 0.3" in text
    assert "a validation loss 50% higher" in text
    assert "Compared with CosineAnnealingLR" in text
    assert "a validation loss 25% higher" in text
    assert "Not confirmed on fresh seeds: one seed judged every trial" in text
    assert "best of 3 is partly the luckiest" in text
    assert "4 of 4 trials (3 finished, 1 diverged), 2,400 steps" in text
    assert "edge" not in text


def test_a_base_rate_at_the_edge_is_told() -> None:
    text = " ".join(answer(made_run([made_trial(0, "Constant", peak_lr=0.29)])).sentences)
    assert "lies at the upper edge for Constant (searched: 0.003 to 0.3): widen" in text


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("Constant", 0.1),
        Schedule("MultiStepLR", 1 / 3, {"milestones": (0.3, 0.7)}, Warmup(0.05, 0.1)),
        Schedule("ReduceLROnPlateau", 0.1, {"mode": "max"}, evals=7),
        Schedule("CyclicLR", 0.2, step_unit="epoch"),
    ],
    ids=lambda s: s.family,
)
def test_the_code_to_reuse_builds_the_same_schedule(schedule: Schedule) -> None:
    head, _, _ = code_for(schedule).partition("\nscheduler = ")
    names: dict[str, Any] = {}
    exec(head, names)
    made = names["schedule"]
    if not schedule.reacts_to_metric:  # then the evaluations say nothing
        assert made.to_dict() | {"evals": 0} == schedule.to_dict() | {"evals": 0}
    else:
        assert made == schedule


_OF_OTHERS = ("confirmation", "fidelity", "range_test")  # what this run has not


def test_a_page_has_every_section_that_the_run_has_data_for() -> None:
    page = report([made_run(many(80))])
    assert sections(page) == [f.name for f in FIGURES if f.name not in _OF_OTHERS]
    panels = embedded(page)["panels"]
    assert {p["id"] for p in panels} == set(re.findall(r'<div class="panel" id="([\w-]+)"', page))
    for panel in panels:
        assert panel["layout"]["xaxis"]["title"]["text"]
    assert "fidelity" in sections(
        report([made_run([made_trial(0, "StepLR", rungs=[(200, 0.6), (600, 0.5)])])])
    )


@pytest.mark.parametrize(
    ("trials", "says", "lacks"),
    [
        ([], "No trial has finished yet", "winner"),
        (
            [made_trial(i, "StepLR", state="diverged") for i in range(3)],
            "all 3 trials diverged",
            "winner",
        ),
        ([made_trial(0, "Constant")], "Constant (ConstantLR) peak_lr=0.1", "importance"),
        (
            [made_trial(i, "SWALR", loss=0.1 + i / 100) for i in range(30)],
            "SWALR peak_lr",
            "fidelity",
        ),
    ],
    ids=["none", "diverged", "one", "one family"],
)
def test_odd_runs_have_a_page_without_empty_parts(trials: Any, says: str, lacks: str) -> None:
    page = report([made_run(trials)])
    assert says in text_of(page)
    assert lacks not in sections(page)
    for panel in embedded(page)["panels"]:
        assert panel["data"]
        assert all(trace["x"] for trace in panel["data"])


def test_names_are_escaped() -> None:
    name = """a"b'<script>alert(1)<!-- """
    page = report([made_run([made_trial(0, "StepLR")], name=name)])
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("</script>") == 3
    assert name.strip() in text_of(page)


def test_several_runs_share_a_page_and_its_legend() -> None:
    one = made_run([made_trial(0, "StepLR")], name="first")
    other = made_run([made_trial(0, "LinearLR")], name="second")
    page = report([one, other])
    assert re.findall(r'class="family"[^>]*data-family="(\w+)"', page) == ["StepLR", "LinearLR"]
    assert text_of(page).count("What reproduces it") == 2
    ids = [panel["id"] for panel in embedded(page)["panels"]]
    assert len(set(ids)) == len(ids)


def test_a_page_asks_for_nothing_from_anywhere() -> None:
    page = report([made_run(many(20))])
    own = page.replace(re.search(r"<script>/\*\*.*?</script>", page, re.DOTALL)[0], "")  # type: ignore[index]
    assert len(own) < 400_000, "plotly.js was taken out"
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", own)
    assert "http" not in own
    assert page.count("plotly.js v") == 1, "once"


def test_a_thousand_trials_are_small_enough() -> None:
    page = report([confirmed_run(1000)])
    assert len(page.encode()) < 6_000_000


def test_a_confirmed_run_says_what_its_bands_are_and_lists_its_baselines() -> None:
    page = report([confirmed_run()])
    assert "Band: lowest to highest of 8 fresh seeds, its line the median" in text_of(page)
    assert 'data-family="SWALR"' in page, "a baseline that was tuned beside the search"
    every = [t for p in embedded(page)["panels"] for t in p["data"]]
    bands = [trace for trace in every if trace["meta"]["kind"] == "band"]
    assert bands
    assert all(trace["meta"]["family"] for trace in bands)
    assert "Band:" not in text_of(report([made_run(many(20))]))


def test_a_confirmed_run_answers_with_its_confirmation(launch: Callable[..., Outcome]) -> None:
    run = launch(trials=3, confirmation={"seeds": 4, "finalists": 2}).run
    confirmed = confirmation_of(run)
    assert confirmed is not None
    shown = Snapshot.of(run)
    told = answer(shown)
    winner = confirmed.winner
    assert told.sentences[0] == f"{confirmed.sentence()}."
    assert f"{winner.mean.value:.4g} (95% interval" in told.sentences[1]
    assert told.headline.startswith(winner.finalist.schedule.family)
    assert code_for(winner.finalist.schedule) == told.code
    page = report([shown])
    assert "Not confirmed" not in text_of(page)
    assert "confirmation" in sections(page)
    (panel,) = (p for p in embedded(page)["panels"] if p["id"] == "run-0-confirmation-0")
    assert [trace["x"][0] for trace in panel["data"]] == pytest.approx(
        [each.mean.value for each in confirmed.finalists], rel=1e-5
    )


def test_a_run_writes_its_report_and_delete_takes_it(launch: Callable[..., Outcome]) -> None:
    outcome = launch(trials=2, run_options={"report": True})
    assert outcome.report_path == outcome.best_path.with_name(REPORT)
    assert "tiny: which learning-rate schedule?" in text_of(outcome.report_path.read_text())
    delete_run(outcome.run)
    assert not outcome.best_path.parent.exists()


def test_a_report_that_fails_costs_the_run_nothing(
    launch: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("no paper\nleft")

    monkeypatch.setattr("schedsearch.report.page.export_report", fail)
    told: list[Event] = []
    outcome = launch(trials=1, run_options={"report": True, "on_event": told.append})
    assert outcome.best_path.is_file()
    assert outcome.report_path is None
    assert "no report: no paper left" in [e.text for e in told if isinstance(e, Note)]


def test_a_place_that_cannot_be_written_is_a_message(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        export_report([open_run(finished)], tmp_path / "file" / "report.html")


def test_the_command(cli: Callable[..., Any], finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    assert cli("report", finished, "-o", path) == (0, f"{path}\n", "")
    assert "finished: which" in path.read_text()
    code, _, err = cli("report", tmp_path / "none")
    assert (code, err.count("\n")) == (2, 1)


def test_the_help_of_plot_names_all_figures(cli: Callable[..., Any]) -> None:
    text = cli("plot", "--help")[1]
    for figure in FIGURES:
        assert figure.name in text
