"""Trials that are written by us and by Optuna, to be compared."""

import math
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import text

from schedsearch.compat import storage_of, study_id_of, trial_id_of
from schedsearch.store.leases import ATTEMPT, LEASE, OWNER
from schedsearch.store.writing import Finished, Sampled, Writer

ME, SOMEBODY = "here/1/2:3:4.00", "elsewhere/1/2:3:4.00"
RUNNING, COMPLETE, PRUNED = TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED
MANY = 10_000

DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "family": CategoricalDistribution(("StepLR", "OneCycleLR", "é")),
    "peak_lr": FloatDistribution(1e-3, 1.0, log=True),
    "frac": FloatDistribution(0.0, 1.0, step=0.25),
    "cycles": IntDistribution(1, 9),
    "nesterov": CategoricalDistribution((True, False, None, 0.5)),
}
PARAMS: dict[str, Any] = {
    "family": "é",
    "peak_lr": 0.1 + 0.2,
    "frac": 0.75,
    "cycles": 3,
    "nesterov": None,
}
ATTRS: dict[str, Any] = {"s": "é\n'\"%s:x", "t": True, "n": None, "f": 1 / 3, "i": 10**15}
NESTED: Any = {
    "columns": {"step": [1, 2], "loss": [math.inf, -math.inf, 1e-300]},
    "odd key %": [{}],
}

Case = tuple[TrialState, float | None]
CASES: list[Case] = [
    (COMPLETE, 0.1),
    (COMPLETE, math.inf),
    (COMPLETE, -math.inf),
    (COMPLETE, 1e-300),
    (PRUNED, None),
]


def attrs_of(owner: str) -> dict[str, Any]:
    return {OWNER: owner, LEASE: 1.5, ATTEMPT: 1}


def created(writer: Writer, study: optuna.Study, count: int, owner: str = ME) -> list[int]:
    """Create running trials, and return their ids."""
    made = writer.create_running(study_id_of(study), attrs_of(owner), count, MANY)
    return [trial_id for trial_id, _ in made]


def ended(trial_id: int, state: TrialState = COMPLETE, value: float | None = 0.5) -> Finished:
    return Finished(trial_id, state, value, {"result": NESTED}, ATTRS)


def by_ours(way: Any, study: optuna.Study, cases: list[Case]) -> None:
    writer = Writer(storage_of(study), way)
    ids = created(writer, study, len(cases))
    sampled = [Sampled(i, PARAMS, DISTRIBUTIONS, {"schedule": NESTED}) for i in ids]
    assert writer.write_sampled(sampled, ME) == set(ids)
    rows = [ended(i, *case) for i, case in zip(ids, cases, strict=True)]
    assert writer.write_results(rows, ME) == set(ids)


def by_optuna(study: optuna.Study, cases: list[Case]) -> None:
    storage = storage_of(study)
    for state, value in cases:
        trial = study.ask()
        for key, attr in attrs_of(ME).items():
            trial.set_user_attr(key, attr)
        for name, given in PARAMS.items():
            internal = DISTRIBUTIONS[name].to_internal_repr(given)
            storage.set_trial_param(trial_id_of(trial), name, internal, DISTRIBUTIONS[name])
        for key, attr in {"schedule": NESTED, "result": NESTED}.items():
            storage.set_trial_system_attr(trial_id_of(trial), key, attr)
        for key, attr in ATTRS.items():
            trial.set_user_attr(key, attr)
        study.tell(trial.number, value, state=None if state == COMPLETE else state)


def content(trial: FrozenTrial) -> dict[str, Any]:
    """Return all that a trial holds but its id and its times."""
    known = {k.lstrip("_"): v for k, v in vars(trial).items()}
    times = ("trial_id", "datetime_start", "datetime_complete")
    return {key: value for key, value in known.items() if key not in times}


def rows(storage: RDBStorage, study: optuna.Study) -> dict[str, Any]:
    """Return all that the tables hold of a study's trials, but for ids and times."""
    columns = {
        "trials": "t.state",
        "trial_params": "param_name, param_value, distribution_json",
        "trial_values": "objective, value, value_type",
        "trial_user_attributes": "a.key, value_json",
        "trial_system_attributes": "a.key, value_json",
        "trial_intermediate_values": "step",
    }
    found = {}
    with storage.engine.connect() as connection:
        for table, names in columns.items():
            joined = f"join {table} a on a.trial_id = t.trial_id"
            query = f"select t.number, {names} from trials t {joined} where t.study_id = :study"
            answer = connection.execute(text(query), {"study": study_id_of(study)})
            found[table] = sorted(map(tuple, answer), key=repr)
    return found
