"""What a confirmation says, of trials that were made by hand."""

from collections.abc import Sequence
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from schedsearch.confirmation.claim import Confirmation, conclude_from
from schedsearch.confirmation.columns import confirmation_columns
from schedsearch.confirmation.record import Concluded, Finalist
from schedsearch.confirmation.scores import Score
from schedsearch.objective import find_objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.statistics.compare import compare
from schedsearch.statistics.intervals import mean_interval
from schedsearch.store.columns import dtypes_of
from schedsearch.store.pairs import SEED
from schedsearch.store.records import PREFIX, SCHEDULE

SEEDS = (11, 12, 13, 14)
RATES = (0.1, 0.2, 0.3)
SCATTER = (-0.02, 0.01, 0.0, 0.01)


def finalist(index: int, *roles: str) -> Finalist:
    schedule = Schedule("Constant", RATES[index])
    return Finalist(schedule, roles or ("finalist",), 5 + index if not roles else None, 0.3)


def trial(schedule: Schedule, seed: int, loss: float | None) -> FrozenTrial:
    """Make the trial of a schedule on a seed; without a loss it diverged."""
    result = {
        "diverged": loss is None,
        "val_loss": 9.0 if loss is None else loss,
        "val_accuracy": 0.1 if loss is None else 1 - loss,
        "best_val_loss": 9.0 if loss is None else loss,
        "best_val_accuracy": 0.1 if loss is None else 1 - loss,
        "train_loss": 0.5,
        "steps": 100,
        "steps_to_target": None if loss is None or loss > 0.4 else int(100 * loss),
    }
    attrs = {SCHEDULE: schedule.to_dict(), SEED: seed, f"{PREFIX}result": result}
    state = TrialState.PRUNED if loss is None else TrialState.COMPLETE
    made = create_trial(state=state, value=loss, system_attrs=attrs)
    made.number = seed
    return made


def concluded(
    *losses: Sequence[float | None], objective: Any = "val_loss", scores: Any = (), **changes: Any
) -> Confirmation | None:
    finalists = tuple(finalist(i) for i in range(len(losses)))
    basis: dict[str, Any] = {
        "finalists": finalists,
        "seeds": SEEDS,
        "wished": 3,
        "tried": 60,
        "tuned": 0,
        "test": "welch",
        "looks": (4,),
    }
    trials = [
        trial(f.schedule, seed, loss)
        for f, row in zip(finalists, losses, strict=True)
        for seed, loss in zip(SEEDS, row, strict=True)
    ]
    return conclude_from(Concluded(**basis | changes), trials, find_objective(objective), scores)


def around(mean: float) -> list[float]:
    return [mean + scatter for scatter in SCATTER]


def test_a_clear_winner_is_named_with_all_that_was_tried() -> None:
    found = concluded(around(0.5), around(0.2), around(0.6))
    assert found is not None
    assert [each.label for each in found.finalists] == [f"Constant (trial {n})" for n in (6, 5, 7)]
    assert found.together == (found.winner,)
    sentence = found.sentence()
    assert sentence.startswith(
        "Constant (trial 6) is better than the 2 others confirmed (p < 0.001"
    )
    assert "Welch's t-test on 4 fresh seeds" in sentence
    assert sentence.endswith("Tried in the search: 60")
    frame = found.frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == dtypes_of(
        confirmation_columns(["val_accuracy"], [])
    )
    assert list(frame["mean"]) == pytest.approx([0.2, 0.5, 0.6])
    assert list(frame["difference"][1:]) == pytest.approx([0.3, 0.4])
    expected = mean_interval(around(0.2))
    assert (frame["low"][0], frame["high"][0]) == pytest.approx((expected.low, expected.high))
    assert list(frame["told_apart"]) == [False, True, True]
    assert frame["p"].isna().tolist() == [True, False, False]


def test_what_cannot_be_told_apart_is_not_called_better() -> None:
    found = concluded(around(0.200), around(0.201), around(0.6))
    assert found is not None
    assert [each.finalist.trial for each in found.together] == [5, 6]
    sentence = found.sentence()
    assert "better" not in sentence
    assert "can't be told apart from Constant (trial 6) (" in sentence
    assert "it can from Constant (trial 7)" in sentence
    said = found.to_dict()
    assert said["better_than_all_others"] is False
    assert said["not_told_apart"] == ["Constant (trial 6)"]
    assert said["p"] > 0.05


def test_the_numbers_are_those_of_the_test() -> None:
    rows = [[0.3, 0.35, 0.31, 0.29], [0.33, 0.3, 0.34, 0.36], [0.5, 0.4, 0.45, 0.44]]
    found, expected = concluded(*rows), compare(rows)
    assert found is not None
    assert found.comparison.p == expected.p
    for each, difference in zip(found.finalists[1:], expected.differences, strict=True):
        assert each.p == difference.p
        assert each.difference == difference.estimate
        assert each.apart == difference.apart


def test_of_an_accuracy_the_highest_wins() -> None:
    found = concluded(around(0.5), around(0.2), objective="val_accuracy")
    assert found is not None
    assert found.winner.finalist.trial == 6
    assert found.winner.mean.value == pytest.approx(0.8)
    (other,) = found.finalists[1:]
    assert other.difference is not None
    assert other.difference.value == pytest.approx(0.3), "how much worse than the winner"


def test_one_that_diverged_on_a_seed_does_not_vanish_and_does_not_win() -> None:
    found = concluded([0.01, None, 0.01, 0.01], around(0.5), around(0.2))
    assert found is not None
    assert [each.finalist.trial for each in found.finalists] == [7, 6, 5]
    last = found.finalists[-1]
    assert (last.diverged, last.p, last.difference, last.apart) == (1, None, None, True)
    assert "Constant (trial 5) diverged on 1 seeds" in found.sentence()
    assert "better than Constant (trial 6) confirmed" in found.sentence()
    row = found.frame().iloc[-1]
    assert (row["diverged"], row["seeds"]) == (1, 4)
    assert row[["mean", "val_loss", "p"]].isna().all()
    assert found.to_dict()["finalists"][-1]["mean"] is None


def test_only_one_that_did_not_diverge_has_nothing_to_be_compared_with() -> None:
    found = concluded(around(0.5), [None, 0.1, 0.1, 0.1])
    assert found is not None
    assert not found.comparison.better
    assert "nothing to compare it with" in found.sentence()
    assert concluded([None] * 4, [None, 0.1, 0.1, 0.1]) is None


def test_seeds_that_were_added_after_a_look_are_told() -> None:
    found = concluded(around(0.5), around(0.2), looks=(2, 4))
    assert found is not None
    assert "seeds were added after a look at 2" in found.sentence()


def test_test_scores_stand_beside_their_schedules() -> None:
    score = Score(finalist(1).schedule, 7, False, {"loss": 0.5, "accuracy": 0.75})
    found = concluded(around(0.5), around(0.2), scores=[score])
    assert found is not None
    assert [each.test for each in found.finalists] == [score.test, {}]
    frame = found.frame()
    assert frame["test_accuracy"].fillna(-1.0).tolist() == [0.75, -1.0]
    assert frame["test_loss"].fillna(-1.0).tolist() == [0.5, -1.0]
    without = concluded(around(0.5), around(0.2))
    assert without is not None
    assert not any(str(name).startswith("test_") for name in without.frame())


def test_the_winners_result_is_the_mean_over_its_seeds() -> None:
    found = concluded(around(0.2), around(0.6))
    assert found is not None
    result = found.winner.result()
    assert result["val_loss"] == pytest.approx(0.2)
    assert result["val_accuracy"] == pytest.approx(0.8)
    assert result["steps_to_target"] == 20, "the median of 18, 21, 20 and 21, not interpolated"
    behind = found.finalists[1].result()
    assert behind["steps_to_target"] is None, "none of its runs got there"


def test_what_is_stored_comes_back() -> None:
    basis = Concluded((finalist(0), finalist(1, "Constant")), SEEDS, 1, 9, 8, "paired", (4,))
    assert Concluded.from_dict(basis.to_dict()) == basis
    assert [f.label for f in basis.finalists] == ["Constant (trial 5)", "Constant (tuned)"]
