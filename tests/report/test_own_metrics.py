"""What is shown of tasks that are no classification of rows: their own metrics, and nothing else.

Three small studies are confirmed: a regression without metrics and without a test split, the next
token, and a class of one in ten whose macro F1 ranks.
"""

import json
import re
import sys
from collections.abc import Callable
from contextlib import redirect_stdout, suppress
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest
from conftest import TINY, merged, toml
from made_runs import embedded

from schedsearch import Schedule, open_run
from schedsearch.cli.app import main
from schedsearch.dashboard.notes import notable, study_note, trial_note
from schedsearch.report.answer import code_for
from schedsearch.report.figures import FIGURES
from schedsearch.report.figures.chart import Chart
from schedsearch.report.figures.rates import rates_of, traced
from schedsearch.report.snapshot import Snapshot
from schedsearch.report.wording import trial_in_words
from schedsearch.store.place import study_ids
from schedsearch.store.run import Run

SHARED: dict[str, Any] = {
    "families": ["Constant", "ReduceLROnPlateau", "CosineAnnealingLR"],
    "trials": 5,
    "training": {"total_steps": 24, "evals_per_run": 4, "engine": "reference"},
    "space": {"warmup": "none"},
    "confirmation": {"finalists": 1, "seeds": 4},
}
STUDIES: dict[str, dict[str, Any]] = {
    "regression": {"task": "own_tasks:REGRESSION", "space": {"peak_lr": [0.01, 0.2]}},
    "tokens": {
        "task": "own_tasks:TOKENS",
        "model": "bigram",
        "training": {"optimizer": "AdamW", "optimizer_args": {}},
    },
    "imbalanced": {
        "task": "own_tasks:IMBALANCED",
        "model": "linear",
        "search": {"objective": "val_macro_f1"},
        "training": {"ema": 0.8},
    },
}
NOT_THERE = r"(?i:accurac|test[ _]loss|test[ _]split)|\b(nan|NaN|None|inf|Infinity)\b"


class Shown(NamedTuple):
    """A run, and all that a person or a program sees of it."""

    run: Run
    screen: str
    json_line: dict[str, Any]
    page: str
    best: dict[str, Any]
    notes: str
    charts: dict[str, Chart]
    snapshot: Snapshot


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Shown]:
    """Return all that is shown of one of STUDIES; each is run once."""
    folder, made = tmp_path_factory.mktemp("own"), dict[str, Shown]()

    def of(name: str) -> Shown:
        if name not in made:
            made[name] = _run(name, folder)
        return made[name]

    return of


def _called(*arguments: object) -> str:
    """Call the command, and return what it prints."""
    printed, before = TextIOWrapper(BytesIO(), "utf-8", write_through=True), sys.argv
    sys.argv = ["schedsearch", *map(str, arguments)]
    try:
        with redirect_stdout(printed), suppress(SystemExit):
            main()
    finally:
        sys.argv = before
    printed.seek(0)
    return printed.read()


def _run(name: str, folder: Path) -> Shown:
    study = {key: value for key, value in TINY.items() if key != "model"}
    study = merged(merged(study, SHARED), {"name": name, **STUDIES[name]})
    if "optimizer_args" in STUDIES[name].get("training", {}):
        study["training"]["optimizer_args"] = {}
    file = folder / f"{name}.toml"
    file.write_text(toml(study))
    call = ("run", file, "--runs-dir", folder, "--device", "cpu")
    screen = _called(*call)
    for command in ("status", "trials", "convergence"):
        screen += _called(command, folder / name)
    line = json.loads(_called(*call, "--json").splitlines()[-1])
    run = open_run(folder / name)
    snapshot, ids = Snapshot.of(run), study_ids(run.storage, name)
    notes = [study_note(snapshot, ids)]
    why = notable(snapshot)
    for row in snapshot.rows(snapshot.trials):
        if (row.study, row.trial) in why:
            notes.append(trial_note(snapshot, row, why[row.study, row.trial]))
    tables = {figure: figure.table(snapshot) for figure in FIGURES}
    charts = {f.name: f.draw(table) for f, table in tables.items() if not table.empty}
    page = (folder / name / "report.html").read_text()
    best = json.loads((folder / name / "best.json").read_text())
    return Shown(run, screen, line, page, best, "\n".join(notes), charts, snapshot)


def said(page: str) -> str:
    """Return what a page says: its text, its figures' titles, axes and hovers, without scripts."""
    content = embedded(page)
    plain = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return plain + json.dumps(content, ensure_ascii=False)


def axes(chart: Chart) -> list[str]:
    return [panel.y.label for panel in chart.panels]


def test_of_a_regression_nothing_is_said_that_it_does_not_have(
    shown: Callable[[str], Shown],
) -> None:
    it = shown("regression")
    texts = {
        "screen": it.screen,
        "page": said(it.page),
        "best.json": json.dumps(it.best["result"]),
        "notes": it.notes,
        "trials": " ".join([*it.run.trials().columns, *it.run.curves().columns]),
    }
    for where, text in texts.items():
        found = re.search(NOT_THERE, text)
        assert found is None, f"{where}: {text[max(0, found.start() - 80) : found.end() + 80]}"
    assert it.json_line["test"] is None
    assert not any("test" in key for key in it.best["result"])
    assert not {"target", "steps_to_target"} & set(it.best["result"])
    assert "target" not in it.screen + it.notes
    assert "target" not in it.charts
    assert axes(it.charts["convergence"]) == ["validation loss"]
    reached = f"validation loss of {it.best['result']['val_loss']:.4g}"
    assert reached.rsplit(maxsplit=1)[-1] in said(it.page)


def test_a_page_has_no_empty_column(shown: Callable[[str], Shown]) -> None:
    for name in STUDIES:
        page = said(shown(name).page)
        board = page[page.index("<table") : page.index("</table>")]
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", board, flags=re.DOTALL)
        cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, flags=re.DOTALL) for row in rows]
        columns = list(zip(*filter(None, cells), strict=True))
        assert columns
        assert all(any(cell.strip() for cell in column) for column in columns), name


def test_of_tokens_the_metrics_are_shown_in_their_direction(
    shown: Callable[[str], Shown],
) -> None:
    it = shown("tokens")
    best, result = it.run.best.result, it.best["result"]
    assert axes(it.charts["convergence"]) == [
        *("validation loss", "validation token accuracy", "validation perplexity")
    ]
    accuracy, perplexity = (panel.y for panel in it.charts["convergence"].panels[1:])
    assert accuracy.percent or accuracy.ticks[-1][1].endswith("%")
    assert not perplexity.percent
    curves = it.run.curves()
    own = curves[curves["trial"] == it.run.best.trial]
    assert best["best_val_token_accuracy"] == own["val_token_accuracy"].max()
    assert best["best_val_perplexity"] == own["val_perplexity"].min()
    assert result["target"] == {"metric": "val_token_accuracy", "value": 0.5}
    assert it.charts["target"].title == "Steps to a validation token accuracy of 50%"
    assert "Steps to a validation token accuracy of 50% (median" in it.screen
    assert it.json_line["test"] == {
        name.removeprefix("test_"): result[name]
        for name in ("test_loss", "test_token_accuracy", "test_perplexity")
    }
    test = it.json_line["test"]
    told = f"loss {test['loss']:.4g}, token accuracy {test['token_accuracy']:.2%}, perplexity"
    assert f"On the test split, trained once more on a fresh seed: {told}" in it.screen
    reached = f"a test loss of {test['loss']:.4g}, a test token accuracy of"
    assert reached in said(it.page)
    assert reached in it.notes
    assert test["token_accuracy"] <= 1
    texts = re.sub('"schedule":.*', "", it.screen) + said(it.page) + it.notes
    other = re.search(r"(?<!token)[ _]accuracy", texts.replace("\\", ""))
    assert other is None, texts[other.start() - 200 : other.end() + 20]
    assert re.search(r"\bnan\b|\bNone\b", it.screen + it.notes) is None


def test_the_metric_that_ranks_is_shown_in_its_direction(shown: Callable[[str], Shown]) -> None:
    it = shown("imbalanced")
    trials = it.run.trials()
    finished = trials[trials["state"] == "finished"]
    assert it.run.best.result["val_macro_f1"] == finished["val_macro_f1"].max()
    words = "validation macro F1"
    assert axes(it.charts["convergence"]) == [
        *("validation loss", words, "validation accuracy"),
        "validation loss of the averaged weights",
    ]
    for name in ("compute", "peak_lr"):
        axis = it.charts[name].panels[0].y
        assert (axis.label, axis.percent, axis.log) == (f"final {words}", True, False)
    (panel,) = it.charts["families"].panels
    assert panel.x.label == f"final {words}"
    (confirmed,) = it.charts["confirmation"].panels
    assert confirmed.x.label.startswith(f"mean final {words}")
    assert confirmed.x.percent
    means = [series.x[0] for series in confirmed.series]
    assert means == sorted(means, reverse=True), "the winner on top has the highest"
    best = it.charts["compute"].panels[0].series
    every = next(series for series in best if series.name == "all families")
    assert list(every.y) == sorted(every.y)
    assert it.snapshot.confirmed is not None
    header = next(line for line in it.screen.splitlines() if line.startswith("family "))
    assert header.split()[1:4] == ["torch_class", "val_macro_f1", "val_loss"]
    mean = it.best["confirmation"]["mean"]
    assert f"Its mean final {words} over 4 fresh seeds is {mean:.2%}" in said(it.page)
    confirmed_means = {f"{each.mean.value:.2%}" for each in it.snapshot.confirmed.finalists}
    told = re.findall(r"mean val_macro_f1 ([\d.]+%)", it.notes.replace("\\", ""))
    assert told
    assert set(told) <= confirmed_means
    assert set(it.json_line["test"]) == {"loss", "macro_f1", "accuracy"}
    assert it.best["result"]["test_macro_f1"] == it.json_line["test"]["macro_f1"]
    assert it.best["result"]["target"] == {"metric": "val_macro_f1", "value": 0.7}


def test_a_schedule_that_watches_another_metric_says_which(shown: Callable[[str], Shown]) -> None:
    it = shown("imbalanced")
    rows = it.snapshot.rows(it.snapshot.trials)
    watching = [row for row in rows if "metric" in json.loads(row.schedule)]
    assert watching, "choose another seed for this test"
    for row in watching:
        assert "metric=val_macro_f1" in trial_in_words(row, it.snapshot.told).split()
        schedule = it.snapshot.schedule_of(row.study, row.trial)
        assert "metric='val_macro_f1'" in code_for(schedule)
        traced = rates_of(it.snapshot, row.study, row.trial).set_index("step")["lr"]
        curve = it.snapshot.curve_of(row.study, row.trial)
        recorded = curve.set_index("step")["lr"]
        assert list(traced[recorded.index]) == list(recorded), "as it was trained"


def test_rates_follow_the_metric_that_is_watched() -> None:
    """The loss rises all the time, the watched metric never: the rate falls."""
    curve = pd.DataFrame({"step": [10, 20, 30, 40], "lr": [0.1, 0.1, 0.1, 0.05]})
    curve = curve.assign(val_loss=[0.1, 0.2, 0.3, 0.4], val_macro_f1=0.5)
    params: dict[str, Any] = {"mode": "max", "factor": 0.5, "patience_frac": 0.25}
    schedule = Schedule("ReduceLROnPlateau", 0.1, params, evals=4, metric="val_macro_f1")
    rates = traced(curve, schedule).set_index("step")["lr"]
    assert rates[20] == 0.1
    assert rates[40] < 0.1
    lacking = traced(curve.drop(columns="val_macro_f1"), schedule)
    assert list(lacking["lr"]) == list(curve["lr"]), "else what was recorded"
