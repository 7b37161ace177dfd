"""The search: cohorts of trials over the rungs; at each rung the best are promoted.

    queue -> cohort -> rung 1 -> the best of it -> rung 2 -> ... -> the full horizon

A schedule that is promoted is trained again from its first step: with "squeeze" it is another
schedule, with "truncate" continuing from the cut would save a third at most. Trials that are not
promoted or that diverge are over. An interrupted trial returns to the queue and begins at the first
rung again. The check of the rungs is a search by random sampling in which all are promoted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from optuna.trial import TrialState

from schedsearch.compat import storage_of
from schedsearch.search.context import Context
from schedsearch.search.drawing import Drawer, Drawn
from schedsearch.search.events import AtRung, Note, OnEvent, Started
from schedsearch.search.plan import Plan, SubSearch, divided
from schedsearch.search.policy import Claim, Result
from schedsearch.search.results import Standing, Terms, row_of
from schedsearch.search.rungs import Climb, Rungs, promoted
from schedsearch.search.timing import Clock
from schedsearch.search.widened import stored_widening
from schedsearch.search.widening import Widener
from schedsearch.search.work import work
from schedsearch.store.names import family_name
from schedsearch.store.queue import Queue
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.recipe import Ended, JobTrainer


@dataclass(eq=False)
class _Trial:
    """A trial of the cohort that is trained now: what it is, and what it recorded so far."""

    drawn: Drawn
    queue: Queue
    climb: Climb = field(default_factory=Climb)


@dataclass
class Search:
    """The policy of a search, over one study, or over one for each family.

    Trials of several studies are compared each with those of its own study: as many are promoted as
    if each study were trained by itself.

    Args:
        terms: what all parts share.
        parts: the studies' queues, each with what it searches.
        on_event: told of each cohort and rung.
        clock: where the time is counted.
        widener: looks whether the range of peak rates is to grow; None: it may not.
    """

    terms: Terms
    parts: Sequence[tuple[Queue, SubSearch]]
    on_event: OnEvent
    clock: Clock
    widener: Widener | None = None
    standing: Standing = field(init=False)
    _drawers: list[Drawer] = field(init=False)
    _waiting: list[_Trial] = field(init=False, default_factory=list)  # of the rung, not yet trained
    _wave: dict[int, _Trial] = field(init=False, default_factory=dict)  # of the rung, by trial id
    _ended: dict[int, Curve] = field(init=False, default_factory=dict)  # of the rung, by trial id
    _rung: int = field(init=False, default=0)
    _announced: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self.standing = Standing(sum(part.trials for _, part in self.parts))
        self._drawers = [Drawer(queue, part) for queue, part in self.parts]

    @property
    def rungs(self) -> Rungs:
        """The horizons at which a trial is tried."""
        return self.parts[0][1].rungs

    def begin(self) -> None:
        """Look at what is there, and tell of it."""
        for queue, _ in self.parts:
            queue.trials = queue.study.get_trials(deepcopy=False)
        finished = sum(queue.finished for queue, _ in self.parts)
        self.on_event(Started(self.terms.name, finished, self.standing.total))

    def ask(self, room: int) -> list[Claim]:
        """Return the next jobs of the rung; when it is over, those of the next rung or cohort."""
        if not self._wave:
            self._next_cohort()
        if self._waiting and not self._announced:
            self._announced = True
            self._announce()
        handed, self._waiting = self._waiting[:room], self._waiting[room:]
        return [self._claim(trial) for trial in handed]

    def evaluated(self, claim: Claim, row: Evaluation) -> bool:
        """Report a value to Optuna's pruner, where there is one: True stops the trial."""
        if not self.terms.prunes:
            return False
        study = claim.queue.study
        with self.clock.measure("storing"):
            value = row.value(self.terms.objective.name)
            storage_of(study).set_trial_intermediate_value(claim.trial_id, row.step, value)
            if row.step == claim.job.total_steps:
                return False
            return study.pruner.prune(study, storage_of(study).get_trial(claim.trial_id))

    def ended(self, claim: Claim, ended: Ended) -> list[Result]:
        """Take in a curve; when the last of the rung is there, promote the best of it."""
        trial = self._wave[claim.trial_id]
        curve = ended.curve.compared_by(self.terms.objective.name)
        trial.climb = trial.climb.higher(self.rungs.horizons[self._rung - 1], curve)
        self._ended[claim.trial_id] = curve
        results = []
        if curve.diverged or self._rung == len(self.rungs.horizons):
            results.append(self._result(claim, trial))
        if len(self._ended) == len(self._wave):
            results += self._end_rung()
        return results

    def steps_ahead(self) -> int:
        """Return the steps of the waiting jobs, of the rungs above, and of all later cohorts."""
        rungs, count = self.rungs, len(self._wave)
        waiting = len(self._waiting) * rungs.horizons[max(0, self._rung - 1)]
        above = rungs.steps(rungs.promoted(count), first=self._rung + 1)
        others = self.standing.total - self.standing.finished - self._alive()
        shares = divided(max(0, others), len(self.parts))
        later = sum(part.steps(n) for (_, part), n in zip(self.parts, shares, strict=True))
        return waiting + above + later

    def _alive(self) -> int:
        """Return how many trials of the rung have not diverged."""
        return sum(not (i in self._ended and self._ended[i].diverged) for i in self._wave)

    def _next_cohort(self) -> None:
        """Draw a cohort of each study: they are trained together."""
        if self.widener is not None:
            self._widen(self.widener)
        trials: list[_Trial] = []
        for drawer in self._drawers:
            with self.clock.measure("sampling"):
                cohort, left = drawer.draw()
            trials += [_Trial(drawn, drawer.queue) for drawn in cohort]
            for number in left:
                which = drawer.part.trial_in_words(number)
                text = f"{which} was left by a process that ended: trained again"
                self.on_event(Note(text))
        self.standing.look([queue for queue, _ in self.parts], self.terms.objective)
        self._rung = 0
        self._begin_rung(trials)

    def _widen(self, widener: Widener) -> None:
        """Draw from a wider range from now on, where it has grown."""
        found = widener.look([queue for queue, _ in self.parts], self.standing.total)
        if found is not None:
            self.widener = None
            self.parts = [(queue, part.with_rates(*found.rates)) for queue, part in self.parts]
            self._drawers = [Drawer(queue, part) for queue, part in self.parts]

    def _begin_rung(self, trials: Sequence[_Trial]) -> None:
        self._rung += 1
        self._wave = {trial.drawn.trial_id: trial for trial in trials}
        self._ended = {}
        self._waiting = list(trials)
        self._announced = False

    def _announce(self) -> None:
        """Tell of the rung that begins; trials that were not promoted to it are stored by now."""
        horizons = self.rungs.horizons
        if len(horizons) > 1:
            horizon = horizons[self._rung - 1]
            words = self.terms.unit.say(horizon)
            self.on_event(AtRung(self._rung, len(horizons), len(self._wave), horizon, words))

    def _end_rung(self) -> list[Result]:
        """Promote the best of each study; the others are over."""
        if self._rung == len(self.rungs.horizons):
            self._wave = {}
            return []
        wave = list(self._wave.values())
        chosen: list[_Trial] = []
        for queue, part in self.parts:
            own = [trial for trial in wave if trial.queue is queue]
            curves = [self._ended[trial.drawn.trial_id] for trial in own]
            best = promoted(curves, part.rungs, self.terms.objective)
            chosen += [own[i] for i in best]
        behind = [t for t in wave if t not in chosen and not t.climb.curve.diverged]
        results = [self._result(self._claim(trial), trial) for trial in behind]
        self._begin_rung(chosen)
        return results

    def _claim(self, trial: _Trial) -> Claim:
        drawn, terms = trial.drawn, self.terms
        job = self.rungs.job(terms.recipe, drawn.schedule, terms.seed, self._rung)
        return Claim(trial.queue, drawn.trial_id, drawn.number, job)

    def _result(self, claim: Claim, trial: _Trial) -> Result:
        row = row_of(claim.trial_id, trial.climb, self.rungs, self.terms)
        told = partial(self.standing.event, claim, trial.climb, self.rungs, self.terms)
        return Result(claim, row, told)


def run_search(context: Context, plan: Plan, trainer: JobTrainer, after: int = 0) -> Plan:
    """Train trials until the run has its total of finished ones, or other processes train the last.

    Returns the plan, with the range of peak rates that was searched in the end.

    Args:
        context: what all phases share.
        plan: what the study does.
        trainer: trains the trials.
        after: the optimizer steps that are planned for after the search.
    """
    name = context.run.name
    parts = [
        (context.queue(family_name(name, part.family) if part.family else name), part)
        for part in plan.searches
    ]
    terms, rate = Terms.of(plan), plan.space.peak_lr
    widener = Widener(context, plan.objective, rate.low, rate.high) if plan.widens else None
    search = Search(terms, parts, context.on_event, context.clock, widener)
    search.begin()
    work(search, trainer, context.on_event, context.clock, after=after, at_once=plan.prunes)
    trials = context.run.search_trials()
    running = sum(trial.state == TrialState.RUNNING for trial in trials)
    if running:
        text = f"{running} trials are still being trained by other processes"
        context.on_event(Note(text))
    widened = stored_widening(context.run.attributes)
    return plan if widened is None else plan.with_rates(*widened.rates)
