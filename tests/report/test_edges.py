"""Best peak rates at an edge of what was searched: named on screen, by one function."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from schedsearch import open_run
from schedsearch.report.edges import edge_advice, edge_advice_of

SEARCHED = (0.003, 0.3)


def board(**rates: float | None) -> pd.DataFrame:
    return pd.DataFrame({"family": list(rates), "peak_lr": list(rates.values())}).astype(
        {"peak_lr": "float64"}
    )


@pytest.mark.parametrize(
    ("rates", "parts"),
    [
        ({"StepLR": 0.1, "Constant": 0.01}, None),
        ({"StepLR": 0.29, "Constant": 0.01}, ["upper edge for StepLR ("]),
        ({"StepLR": 0.29, "Constant": 0.3, "SWALR": 0.05}, ["upper edge for StepLR, Constant ("]),
        (
            {"StepLR": 0.003, "SWALR": 0.3},
            ["upper edge for SWALR and at the lower edge for StepLR"],
        ),
        ({"StepLR": None}, None),
        ({}, None),
    ],
)
def test_the_families_at_an_edge_are_named(
    rates: dict[str, float | None], parts: list[str] | None
) -> None:
    found = edge_advice(board(**rates), None, SEARCHED)
    if parts is None:
        assert found is None
        return
    assert found is not None
    assert "\n" not in found
    for part in [*parts, "searched: 0.003 to 0.3", "widen space.peak_lr"]:
        assert part in found


def test_a_fixed_rate_has_no_edges() -> None:
    assert edge_advice(board(StepLR=0.1), None, (0.1, 0.1)) is None


def test_run_and_status_print_it(
    cli: Callable[..., tuple[int, str, str]], study_file: Callable[..., Path], runs_dir: Path
) -> None:
    """Rates that are all too low: the best is the highest."""
    table = {"families": ["Constant"], "trials": 24, "training": {"total_steps": 20}}
    space = {"peak_lr": [1e-5, 1e-3], "warmup": "none"}
    file = study_file(name="low", **table, space=space, search={"sampler": "QMC", "batch": 24})
    _, out, _ = cli("run", file, "--runs-dir", runs_dir, "--no-report")
    advice = edge_advice_of(open_run(runs_dir / "low"))
    assert advice is not None
    assert "upper edge for Constant (searched: 1e-05 to 0.001)" in advice
    _, status, _ = cli("status", runs_dir / "low")
    assert advice in out
    assert advice in status
