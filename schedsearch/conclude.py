"""Conclude a search: confirm the best on fresh seeds, read the test split once, write best.json."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.study import Study

from schedsearch.analysis import Run
from schedsearch.errors import RunError
from schedsearch.outputs.export import export_best
from schedsearch.search.confirm import confirm
from schedsearch.search.events import Note, OnEvent
from schedsearch.search.pairs import ChooseEngine
from schedsearch.search.plan import Plan
from schedsearch.search.score import score_on_test
from schedsearch.storage.finalists import FINALIST
from schedsearch.training import threads


@dataclass(frozen=True, eq=False)
class Conclusion:
    """Concludes a run whose search is over.

    Args:
        run: the run.
        study: its study.
        plan: what it does.
        choose_engine: gives what trains a confirmation.
        lock: held while trials are asked, and while the test split is read.
        best_path: where best.json is written.
        on_event: told of what goes on.
        score_threads: intra-op threads on the CPU of the training before the test split is read.
    """

    run: Run
    study: Study
    plan: Plan
    choose_engine: ChooseEngine
    lock: AbstractContextManager[object]
    best_path: Path
    on_event: OnEvent
    score_threads: int = 1

    def draw(self) -> dict[str, Any]:
        """Conclude; what was done before is not done again.

        Returns:
            the winner's score on the test split; empty while other processes still train.

        Raises:
            RunError: no schedule is left that did not diverge.
        """
        if self.run.being_searched():
            return {}
        _refuse_when_all_diverged(self.run)
        if not self.plan.config.confirmation.seeds and self.run.confirmed_now is None:
            best = self.run.best
            score = self._score(best.trial, best.schedule)
        elif confirm(self.study, self.plan, self.choose_engine, self.lock, self.on_event) is None:
            return {}
        else:
            score = self._score_confirmed()
        if score["diverged"]:
            self.on_event(Note("the best schedule diverged on a fresh seed: no test accuracy"))
        export_best(self.run, self.best_path)
        return score

    def _score_confirmed(self) -> dict[str, Any]:
        confirmed = self.run.confirmed
        if confirmed is None:
            raise RunError(
                f"all finalists of {self.run.name!r} diverged on fresh seeds: the rates are too "
                "high for this model. Lower space.base_lr, and give the study another name"
            )
        winner = confirmed.winner.finalist
        score = self._score(winner.trial, winner.schedule)
        for finalist in confirmed.basis.finalists:
            for role in finalist.roles:
                if role != FINALIST:
                    self._score(finalist.trial, finalist.schedule, role)
        return score

    def _score(self, trial: int | None, schedule: Any, role: str = "") -> dict[str, Any]:
        # read once, also when two processes end at the same moment
        with self.lock, threads(self.score_threads):
            storage = self.run.storage
            return score_on_test(self.study, storage, self.plan, trial, schedule, role)


def _refuse_when_all_diverged(run: Run) -> None:
    states = run.trials()["state"]
    if (states == "diverged").all():
        raise RunError(
            f"all {len(states)} trials of {run.name!r} diverged: the rates are too high for this "
            "model. Lower space.base_lr, and give the study another name"
        )
