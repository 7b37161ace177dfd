"""Studies with rungs that are small enough to be trained in a test."""

from typing import Any

EVALS = 5
HORIZONS = (20, 60, 180)
# cohorts of 9
RUNGS: dict[str, Any] = {
    "training": {"total_steps": 180, "evals_per_run": EVALS, "engine": "reference"},
    "space": {"warmup_frac": [0.05, 0.1]},
    "fidelity": {"kind": "squeeze", "eta": 3, "min_steps": 5, "checks": 0},
}


def with_rungs(kind: str = "squeeze", **changes: Any) -> dict[str, Any]:
    """Return the options of a study with rungs."""
    merged = {key: dict(table) for key, table in RUNGS.items()}
    merged["fidelity"]["kind"] = kind
    for key, value in changes.items():
        merged[key] = merged.get(key, {}) | value if isinstance(value, dict) else value
    return merged
