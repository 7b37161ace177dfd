"""What is published of a run, read back through the dashboard's own application."""

import io
import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from made_runs import made_run, made_trial, many
from optuna.trial import FrozenTrial
from pages import Pages, attr_rows, noted
from stored_runs import fill, store_run

from schedsearch import open_run
from schedsearch.dashboard import publish as publishing
from schedsearch.dashboard.notes import plain
from schedsearch.dashboard.pages import PUBLISHED, put
from schedsearch.dashboard.publish import publish, state_of
from schedsearch.report.leaderboard import leaderboard_of
from schedsearch.report.wording import with_class
from schedsearch.store.delete import delete_run
from schedsearch.store.place import Place

FEW = ("StepLR", "Constant", "LinearLR")


def few(count: int) -> list[FrozenTrial]:
    """Make trials of three families, so that six files are drawn and not forty."""
    return [
        made_trial(i, FEW[i % 3], loss=0.5 - (i * 7 % 11) / 30 + i / 1000) for i in range(count)
    ]


def made(tmp_path: Path, trials: Sequence[Any], **changes: Any) -> Pages:
    return Pages(store_run(tmp_path, {"made": trials}, **changes))


def test_the_study_page_has_the_figures_and_the_leaderboard(tmp_path: Path) -> None:
    pages = made(tmp_path, many(60))
    assert publish(pages.run, None)
    study = pages.study()
    figures = {g["id"]: json.loads(g["graph_object"]) for g in study["plotly_graph_objects"]}
    assert set(figures) == {"convergence-0", "convergence-1", "rates-0", "families-0"}
    for name, figure in figures.items():
        layout = figure["layout"]
        assert layout["title"]["text"]
        assert layout["xaxis"]["title"]["text"]
        assert layout["yaxis"]["title"]["text"] or name == "families-0"
        assert figure["data"]
    drawn = sum(len(trace["x"]) for trace in figures["families-0"]["data"])
    assert drawn == len(study["trials"]) == 60
    board = leaderboard_of(pages.run).dropna(subset=["trial"])
    note = study["note"]["body"]
    assert "schedsearch.Schedule(" in note
    for row in board.itertuples():
        place = f"/dashboard/studies/{pages.ids['made']}/trials?numbers={row.trial}"
        family = plain(with_class(str(row.family)))
        cells = f"| {family} | [{row.trial}]({place}) | {row.val_loss:.4g} |"
        assert cells in note


def test_notable_trials_have_a_note_a_picture_and_their_curve(tmp_path: Path) -> None:
    pages = made(tmp_path, few(40))
    pages.publish()
    study, best = pages.study(), leaderboard_of(pages.run).dropna(subset=["trial"])
    notes = noted(study)
    assert set(notes) == set(best["trial"])
    top = best.iloc[0]
    assert "The best of the search so far; the best of" in notes[top["trial"]]
    for trial in study["trials"]:
        kinds = {a["mimetype"]: a["artifact_id"] for a in trial["artifacts"]}
        assert set(kinds) == ({"image/png", "text/csv"} if trial["number"] in notes else set())
        if trial["number"] == top["trial"]:
            place = f"/artifacts/{pages.ids['made']}/{trial['trial_id']}"
            assert f"]({place}/{kinds['image/png']})" in notes[trial["number"]]
            assert pages.get(f"{place}/{kinds['image/png']}").startswith(b"\x89PNG")
            curve = pd.read_csv(io.BytesIO(pages.get(f"{place}/{kinds['text/csv']}")))
            all_curves = pages.run.curves()
            stored = all_curves[all_curves["trial"] == top["trial"]].reset_index(drop=True)
            pd.testing.assert_frame_equal(curve, stored[list(curve)])
            assert list(curve) == ["step", "lr", "train_loss", "val_loss", "val_accuracy"]


def test_publishing_again_writes_nothing(tmp_path: Path) -> None:
    pages = made(tmp_path, few(30))
    pages.publish()
    before, seen = attr_rows(pages.run), state_of(pages.run)
    files = {file: file.stat().st_mtime_ns for file in pages.folder.iterdir()}
    assert files
    pages.publish()
    assert attr_rows(pages.run) == before
    assert {file: file.stat().st_mtime_ns for file in pages.folder.iterdir()} == files
    assert state_of(open_run(pages.folder.parent)) == seen


def test_pictures_that_are_not_drawn_in_time_come_later(tmp_path: Path) -> None:
    pages = made(tmp_path, [made_trial(0, "StepLR"), made_trial(1, "Constant", loss=0.4)])
    assert not pages.publish(seconds=0)
    assert set(noted(pages.study())) == {0, 1}
    assert list(pages.folder.iterdir()) == []
    assert "](/artifacts" not in "".join(noted(pages.study()).values())
    assert pages.publish()
    assert len(list(pages.folder.iterdir())) == 4
    assert all("](/artifacts" in note for note in noted(pages.study()).values())


def test_a_trial_that_is_beaten_loses_its_note_and_files(tmp_path: Path) -> None:
    pages = made(tmp_path, [made_trial(0, "StepLR", loss=0.5)])
    pages.publish()
    assert set(noted(pages.study())) == {0}
    seen = state_of(pages.run)
    study = optuna.load_study(study_name="made", storage=pages.run.storage)
    study.add_trial(made_trial(1, "StepLR", loss=0.3))
    assert state_of(pages.run) != seen
    pages.publish()
    found = pages.study()
    assert set(noted(found)) == {1}
    assert [len(trial["artifacts"]) for trial in found["trials"]] == [0, 2]
    assert len(list(pages.folder.iterdir())) == 2
    assert "trial 1" in found["note"]["body"]
    keys = [key for key in attr_rows(pages.run) if key.startswith("dashboard:1:")]
    assert keys == [], "nothing is left of it"


def test_what_a_person_wrote_stays(tmp_path: Path) -> None:
    pages = made(tmp_path, [made_trial(0, "StepLR"), made_trial(1, "Constant", loss=0.4)])
    ids = {t["number"]: t["trial_id"] for t in pages.study()["trials"]}
    pages.write_note("mine, before", ids[0])
    pages.publish()
    pages.write_note("mine, instead")
    pages.write_note("", ids[1])
    study = optuna.load_study(study_name="made", storage=pages.run.storage)
    study.add_trial(made_trial(2, "LinearLR", loss=0.3))
    pages.publish()
    found = pages.study()
    assert found["note"]["body"] == "mine, instead"
    notes = noted(found)
    assert set(notes) == {0, 2}, "one is written, one was emptied, one is new"
    assert notes[0] == "mine, before"


def test_long_figures_come_back_whole_from_values_that_fit(tmp_path: Path) -> None:
    """MariaDB's TEXT holds 64 kB; and a figure that gets shorter leaves nothing behind."""
    from optuna_dashboard._custom_plot_data import get_plotly_graph_objects

    attrs: dict[str, Any] = {}
    for count in (1000, 30):
        run = made_run(many(count))
        items = list(publishing._figures(run))
        put(attrs, items, ("figure",))
        assert get_plotly_graph_objects(attrs) == {item.place: item.content for item in items}
        assert max(len(json.dumps(value)) for value in attrs.values()) < 64_000
    assert len(attrs) < 20


def test_each_study_of_a_run_shows_its_own_trials(tmp_path: Path) -> None:
    """As a run does that has a study for each family: numbers begin anew in each."""
    steps = [made_trial(0, "StepLR", loss=0.5), made_trial(1, "StepLR", loss=0.4)]
    lines = [made_trial(0, "LinearLR", loss=0.3), made_trial(1, "LinearLR", loss=0.6)]
    pages = Pages(store_run(tmp_path, {"made/StepLR": steps, "made/LinearLR": lines}))
    pages.publish()
    whole, step, line = (pages.study(name) for name in ("made", "made/StepLR", "made/LinearLR"))
    assert set(noted(step)) == {1}
    assert set(noted(line)) == {0}
    assert "The best of the search so far" in noted(line)[0]
    assert "The best of StepLR" in noted(step)[1]
    assert [len(trial["artifacts"]) for trial in step["trials"]] == [0, 2]
    for study, families in ((whole, 2), (step, 1), (line, 1)):
        assert study["note"]["body"].count("| [") == families
        figures = {g["id"]: json.loads(g["graph_object"]) for g in study["plotly_graph_objects"]}
        assert len(figures["rates-0"]["data"]) == families
    link = f"/dashboard/studies/{pages.ids['made/LinearLR']}/trials?numbers=0"
    assert link in whole["note"]["body"]


@pytest.mark.parametrize(
    "trials",
    [[], [made_trial(0, "StepLR", state="diverged")], [made_trial(0, "StepLR", state="pruned")]],
    ids=["none", "all diverged", "none finished"],
)
def test_runs_without_a_result_have_a_page(tmp_path: Path, trials: Any) -> None:
    pages = made(tmp_path, trials)
    assert pages.publish()
    assert pages.study()["note"]["body"]
    assert noted(pages.study()) == {}


def test_two_that_publish_at_once_agree(tmp_path: Path) -> None:
    pages = made(tmp_path, few(30))
    failed = list[BaseException]()

    def one() -> None:
        try:
            publish(open_run(pages.folder.parent), pages.folder)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    before = attr_rows(pages.run)
    pages.publish()
    assert attr_rows(pages.run) == before
    assert all(len(trial["artifacts"]) in (0, 2) for trial in pages.study()["trials"])


def test_without_a_folder_there_are_figures_and_notes(tmp_path: Path) -> None:
    pages = made(tmp_path, few(30))
    assert publish(pages.run, None)
    study = pages.study()
    assert study["plotly_graph_objects"]
    assert noted(study)
    assert not pages.folder.exists()
    pages.publish()
    with_pictures = noted(pages.study())
    assert publish(pages.run, None)
    assert noted(pages.study()) == with_pictures, "one that has no files leaves those of others"
    assert any(trial["artifacts"] for trial in pages.study()["trials"])


def test_deleting_a_run_deletes_its_files(tmp_path: Path) -> None:
    pages = made(tmp_path, few(20))
    pages.publish()
    assert pages.folder.is_dir()
    delete_run(pages.run)
    assert not pages.folder.parent.exists()


def test_a_copied_run_keeps_its_files(tmp_path: Path) -> None:
    pages = made(tmp_path, few(20))
    pages.publish()
    pages.run.storage.engine.dispose()
    shutil.copytree(tmp_path / "made", tmp_path / "copy")
    copied = Pages(open_run(tmp_path / "copy"))
    before = attr_rows(copied.run)
    assert copied.publish(seconds=0)
    assert attr_rows(copied.run) == before


def test_what_is_published_is_no_attribute_of_a_page(finished: Path, tmp_path: Path) -> None:
    """Attributes are scalars: a list stretches the dashboard's tables."""
    shutil.copytree(finished, tmp_path / "run")
    pages = Pages(open_run(tmp_path / "run"))
    pages.publish()
    storage = pages.run.storage
    for study_id in pages.ids.values():
        assert storage.get_study_user_attrs(study_id) == {}
        for trial in storage.get_all_trials(study_id):
            assert trial.user_attrs
            for value in trial.user_attrs.values():
                assert isinstance(value, str | int | float | bool)
                assert len(str(value)) < 100
    assert PUBLISHED.removeprefix("schedsearch:") in pages.run.attributes


def test_a_run_in_postgresql_shows_the_same(database: str, tmp_path: Path) -> None:
    trials = few(9)
    here = made(tmp_path, trials)
    publish(here.run, None)
    fill(Place("made", database, None), {"made": trials})
    there = Pages(open_run(database, "made"))
    for _ in range(2):
        assert publish(there.run, None)
        one, other = here.study(), there.study()
        assert one["note"] == other["note"]
        assert noted(one) == noted(other)
        assert len(noted(one)) == 3
        figures = [
            {g["id"]: g["graph_object"] for g in s["plotly_graph_objects"]} for s in (one, other)
        ]
        assert figures[0] == figures[1]
    there.run.storage.engine.dispose()
