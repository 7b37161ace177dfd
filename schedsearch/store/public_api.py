"""Write trials through Optuna's public storage API: slower, but safe whatever its tables are.

The functions and their guarantees are those of `optuna_tables`, but Optuna writes each value in a
transaction of its own, and so:

- Several trials are not written all at once. Each trial is: its state is written last, so a trial
  that has ended has its whole result. A process that dies in between leaves a trial that runs, with
  part of a result that the next attempt replaces.
- Whose a trial is, is looked at before it is written to, and not again between two of its values. A
  process that takes a trial over within these milliseconds sees attributes of both attempts; only
  one of the two can end the trial.
- A parameter that has a value keeps it. A trial of which a process that died has written some
  parameters, and no schedule yet, ends as failed, and another is sampled in its stead.
- Where several processes create the last trials of a study at once, too many may be created. Those
  beyond the total end as failed at once; failed trials don't count. Trials with system attributes
  of their own, of which all are to be created or none, may then be created in part.
- An attribute of a study can't be deleted: it is emptied instead.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import TrialState, create_trial

from schedsearch.compat import database_of, emptied
from schedsearch.store.leases import OWNER
from schedsearch.store.rows import Finished, Sampled


def create_running(
    storage: BaseStorage,
    study_id: int,
    user_attrs: Mapping[str, Any],
    count: int,
    total: int,
    system_attrs: Sequence[Mapping[str, Any]] = (),
) -> list[tuple[int, int]]:
    """Create trials that run; see `optuna_tables.create_running`."""
    storage, created = database_of(storage) or storage, []
    room = total - _trials_before(storage, study_id, None)
    if system_attrs and room < count:
        return []
    for own in list(system_attrs or [{}] * count)[: max(0, room)]:
        template = create_trial(
            state=TrialState.RUNNING, user_attrs=dict(user_attrs), system_attrs=dict(own)
        )
        trial_id = storage.create_new_trial(study_id, template)
        number = storage.get_trial_number_from_id(trial_id)
        if _trials_before(storage, study_id, number) >= total:  # others were created meanwhile
            storage.set_trial_state_values(trial_id, TrialState.FAIL)
            break
        created.append((trial_id, number))
    return created


def _trials_before(storage: BaseStorage, study_id: int, number: int | None) -> int:
    """Return how many trials have not failed, of those with a lower number (None: of all)."""
    trials = storage.get_all_trials(study_id, deepcopy=False)
    counted = (t for t in trials if t.state != TrialState.FAIL)
    return sum(number is None or t.number < number for t in counted)


def write_sampled(storage: BaseStorage, trials: Sequence[Sampled], owner: str) -> set[int]:
    """Write what was sampled for trials that run; see `optuna_tables.write_sampled`.

    Optuna compares each distribution with that of an earlier trial.
    """
    storage, ours = database_of(storage) or storage, set()
    for trial in trials:
        if not _held(storage, trial.trial_id, owner):
            continue
        with suppress(UpdateFinishedTrialError):  # finished by whoever took it over meanwhile
            if _write_sample(storage, trial):
                ours.add(trial.trial_id)
    return ours


def _write_sample(storage: BaseStorage, trial: Sampled) -> bool:
    """Write one sample, unless an earlier attempt has left other values of parameters."""
    left = storage.get_trial(trial.trial_id).params
    if any(name not in trial.params or trial.params[name] != left[name] for name in left):
        storage.set_trial_state_values(trial.trial_id, TrialState.FAIL)
        return False
    for name, value in trial.params.items():
        distribution = trial.distributions[name]
        internal = distribution.to_internal_repr(value)
        storage.set_trial_param(trial.trial_id, name, internal, distribution)
    for key, attr in trial.system_attrs.items():
        storage.set_trial_system_attr(trial.trial_id, key, attr)
    return True


def write_results(storage: BaseStorage, trials: Sequence[Finished], owner: str) -> set[int]:
    """End trials, one after another; see `optuna_tables.write_results`."""
    storage, ours = database_of(storage) or storage, set()
    for trial in trials:
        if not _held(storage, trial.trial_id, owner):
            continue
        with suppress(UpdateFinishedTrialError):
            _write_result(storage, trial)
            ours.add(trial.trial_id)
    return ours


def _write_result(storage: BaseStorage, trial: Finished) -> None:
    for step, value in trial.intermediate_values.items():
        storage.set_trial_intermediate_value(trial.trial_id, step, value)
    for key, attr in trial.system_attrs.items():
        storage.set_trial_system_attr(trial.trial_id, key, attr)
    for key, attr in trial.user_attrs.items():
        storage.set_trial_user_attr(trial.trial_id, key, attr)
    values = None if trial.value is None else [trial.value]
    storage.set_trial_state_values(trial.trial_id, trial.state, values)


def _held(storage: BaseStorage, trial_id: int, owner: str) -> bool:
    """Return whether a trial runs under an owner's name."""
    try:
        trial = storage.get_trial(trial_id)
    except KeyError:
        return False
    return trial.state == TrialState.RUNNING and trial.user_attrs.get(OWNER) == owner


@contextmanager
def editing_attrs(
    storage: BaseStorage, study_id: int, prefixes: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Open attributes of a study to be changed; see `optuna_tables.editing_attrs`."""
    every = storage.get_study_system_attrs(study_id)
    attrs = {k: v for k, v in every.items() if k.startswith(tuple(prefixes)) and v != emptied(k)}
    before = {name: json.dumps(content) for name, content in attrs.items()}
    yield attrs
    for name in before.keys() - attrs.keys():
        storage.set_study_system_attr(study_id, name, emptied(name))
    for name, content in attrs.items():
        if before.get(name) != json.dumps(content):
            storage.set_study_system_attr(study_id, name, content)
