"""A cohort: trials that are trained together, rung after rung; on each, some stay behind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby

from schedsearch.search.asking import Asked
from schedsearch.search.clock import Clock
from schedsearch.search.events import AtRung, OnEvent
from schedsearch.search.meter import Meter
from schedsearch.search.plan import Plan
from schedsearch.search.results import Results
from schedsearch.search.rungs import Climb, going_on
from schedsearch.search.shares import steps_of_search
from schedsearch.training import Curve, Engine, Evaluation


@dataclass
class Cohort:
    """Trials that are trained together.

    A schedule that goes on is trained anew, from its first step: with "squeeze" it is another
    schedule, with "truncate" going on from the cut would save a third at the most. What stays
    behind, and what diverges, has ended; a trial that is interrupted before that goes back to the
    queue, and begins at the first rung again. Trials of several studies are compared each with
    those of its own study: as many of them go on as if they were trained by themselves.

    Args:
        plan: what it does.
        engine: what trains them.
        clock: where the time is counted.
        results: takes what a trial came to.
        on_event: told of each rung.
        trials: the trials, those of one study behind each other.
        meter: counts the steps.
    """

    plan: Plan
    engine: Engine
    clock: Clock
    results: Results
    on_event: OnEvent
    trials: list[Asked]
    meter: Meter
    _climbs: dict[int, Climb] = field(init=False, default_factory=dict)  # by a trial's place

    def train(self) -> None:
        """Train all rungs; what has ended is kept, also when the rest is interrupted."""
        horizons, rungs = self.plan.rungs.horizons, self.plan.rungs
        others = self.plan.config.trials - self.results.standing.finished - len(self.trials)
        later = steps_of_search(self.plan, max(0, others))
        self._climbs = {place: Climb() for place in range(len(self.trials))}
        try:
            for number, horizon in enumerate(horizons, start=1):
                if len(horizons) > 1:
                    self.on_event(AtRung(number, len(horizons), len(self._climbs), horizon))
                count = len(self._climbs)
                above = rungs.steps(rungs.promoted(count), first=number + 1)
                self.meter.begin(count, horizon, above + later)
                self._train(horizon)
                if not self._climbs:
                    break
        finally:
            self.results.write()

    def _train(self, horizon: int) -> None:
        """Train the trials that came so far at a horizon; those that end there are taken out."""
        places, last = list(self._climbs), horizon == self.plan.total_steps
        total_steps, eval_steps = self.plan.rungs.training(horizon, len(self.plan.eval_steps))
        prunes = self.plan.config.search.pruner != "none"
        with self.clock.around_training():
            curves = self.engine.train(
                self.plan.task,
                [self.trials[place].schedule for place in places],
                total_steps=total_steps,
                seed=self.plan.seed,
                eval_steps=eval_steps,
                optimizer=self.plan.optimizer,
                diverge_factor=self.plan.config.training.diverge_factor,
                on_eval=self._report if prunes else partial(self._stop_at, horizon),
                on_end=partial(self._keep, places, horizon, last=last),
            )
        if not last:
            chosen = self._going_on(places, curves)
            for place in [place for place in self._climbs if place not in chosen]:
                self._end(place)
            self.results.write()  # the next rung may take long

    def _going_on(self, places: Sequence[int], curves: Sequence[Curve]) -> set[int]:
        """Choose among the trials of each study the places of those that go on."""
        objective, chosen = self.plan.config.search.objective, set()
        ran = zip(places, curves, strict=True)
        for _, group in groupby(ran, lambda each: self.trials[each[0]].study.study_name):
            own = list(group)
            best = going_on([curve for _, curve in own], self.plan.rungs, objective)
            chosen |= {own[i][0] for i in best}
        return chosen

    def _keep(
        self, places: list[int], horizon: int, index: int, curve: Curve, *, last: bool
    ) -> None:
        """Keep a curve; at the last rung the trial has ended, and where it diverged."""
        self.meter.end(index)
        place = places[index]
        self._climbs[place] = self._climbs[place].higher(horizon, curve)
        if last or curve.diverged:
            self._end(place)

    def _end(self, place: int) -> None:
        self.results.add(self.trials[place], self._climbs.pop(place))

    def _stop_at(self, horizon: int, index: int, row: Evaluation) -> bool:
        """Stop where a rung is a cut; and let no result wait while others are trained."""
        self.meter.at(index, row.step)
        self.results.write_if_due()
        cuts = self.plan.rungs.kind == "truncate" and horizon < self.plan.total_steps
        return cuts and row.step == horizon

    def _report(self, index: int, row: Evaluation) -> bool:
        """Report a value at its step; True when the pruner wants the trial to stop."""
        self.meter.at(index, row.step)
        trial_id, study = self.trials[index].trial_id, self.trials[index].study
        with self.clock.measure("storing"):
            value = getattr(row, self.plan.config.search.objective)
            study._storage.set_trial_intermediate_value(trial_id, row.step, value)
            if row.step == self.plan.total_steps:
                return False
            return study.pruner.prune(study, study._storage.get_trial(trial_id))
