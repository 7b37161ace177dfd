"""What the tests of confirmation share: a small one, and the check that it is whole."""

from typing import Any

from optuna.trial import FrozenTrial, TrialState

from schedsearch import Run
from schedsearch.seeds import derive_seed
from schedsearch.store.names import confirmation_name
from schedsearch.store.pairs import pair_of
from schedsearch.store.place import study_ids

# 2 finalists and 2 references on 4 seeds: 16 runs, after 16 that tune the references.
SMALL: dict[str, Any] = {
    "trials": 4,
    "training": {"engine": "reference"},  # the other rounds otherwise
    "confirmation": {"finalists": 2, "seeds": 4},
}
FRESH = [derive_seed(0, "confirmation", i) for i in range(4)]


def stored(run: Run) -> list[FrozenTrial]:
    """Return the trials of a run's confirmation."""
    study_id = study_ids(run.storage, run.name)[confirmation_name(run.name)]
    return sorted(run.storage.get_all_trials(study_id), key=lambda trial: trial.number)


def seed_of(trial: FrozenTrial) -> int:
    pair = pair_of(trial)
    assert pair is not None
    return pair[1]


def check_whole(run: Run) -> list[FrozenTrial]:
    """Check that each pair of a schedule and a seed was trained, and none of them twice."""
    trials = stored(run)
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL}
    done = [t for t in trials if t.state != TrialState.FAIL]
    pairs = [pair_of(t) for t in done]
    assert len(set(pairs)) == len(pairs) == 32
    return done
