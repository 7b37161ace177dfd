"""A run that another version of schedsearch made is refused in one line that says what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from made_runs import many
from stored_runs import store_run

from schedsearch import Run, open_run
from schedsearch.compat import study_id_of
from schedsearch.errors import RunError
from schedsearch.store.version import RUN_VERSION, VERSION

OLDER = (
    "the run 'made' was made by an older schedsearch: run the study again under another name "
    "(--name), or install the version that made it"
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return store_run(tmp_path, {"made": many(2)})


@pytest.fixture
def change(run: Run) -> Callable[[str, Any], None]:
    """Return a function that changes one of the run's attributes."""

    def call(key: str, value: Any) -> None:
        study = optuna.load_study(study_name="made", storage=run.storage)
        run.storage.set_study_system_attr(study_id_of(study), f"schedsearch:{key}", value)

    return call


def test_a_run_of_this_version_is_opened(
    run: Run, tmp_path: Path, change: Callable[[str, Any], None]
) -> None:
    change(VERSION, RUN_VERSION)
    assert open_run(tmp_path / "made").config.name == "made"


@pytest.mark.parametrize("key", ["config", "identity", VERSION])
def test_an_older_run_is_refused(
    run: Run,
    tmp_path: Path,
    change: Callable[[str, Any], None],
    refused: Callable[..., str],
    key: str,
) -> None:
    """Before runs had a version, the peak rate was called `base_lr`."""
    stored: dict[str, Any] = {
        "config": run.attributes["config"] | {"space": {"base_lr": [0.1, 1.0]}},
        "identity": {"model": "mlp", "space.base_lr": [0.1, 1.0]},
        VERSION: 1,
    }
    change(key, stored[key])
    for call in (lambda: run.config, lambda: open_run(tmp_path / "made")):
        with pytest.raises(RunError) as caught:
            call()
        assert str(caught.value) == OLDER
    for command in ("status", "trials", "curves", "report"):
        assert OLDER in refused(command, tmp_path / "made")


@pytest.mark.parametrize("peak", ['"auto"', "[0.1, 1.0]"])
def test_an_older_run_is_not_gone_on_with(
    tmp_path: Path,
    change: Callable[[str, Any], None],
    refused: Callable[..., str],
    peak: str,
) -> None:
    change("identity", {"model": "mlp", "space.base_lr": [0.1, 1.0]})
    study = tmp_path / "made.toml"
    study.write_text(f'name = "made"\ntask = "digits"\ntrials = 2\n[space]\npeak_lr = {peak}\n')
    assert OLDER in refused("run", study, "--runs-dir", tmp_path)


def test_an_older_run_can_be_deleted(
    run: Run, tmp_path: Path, change: Callable[[str, Any], None], cli: Callable[..., Any]
) -> None:
    change(VERSION, 1)
    code, _, _ = cli("delete", tmp_path / "made", "--yes")
    assert code == 0
    assert not (tmp_path / "made").exists()


def test_the_list_names_an_older_run_and_shows_the_others(
    run: Run, tmp_path: Path, change: Callable[[str, Any], None], cli: Callable[..., Any]
) -> None:
    change(VERSION, 1)
    store_run(tmp_path, {"newer": many(2)}, "newer")
    code, out, err = cli("list", "--runs-dir", tmp_path)
    assert code == 0
    assert "newer" in out
    assert OLDER in err


def test_a_newer_run_asks_for_a_newer_schedsearch(
    run: Run, tmp_path: Path, change: Callable[[str, Any], None]
) -> None:
    change(VERSION, RUN_VERSION + 1)
    with pytest.raises(RunError, match=r"the run 'made' is of version 4.*install a newer one"):
        open_run(tmp_path / "made")
