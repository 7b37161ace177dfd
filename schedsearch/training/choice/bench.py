"""Bench: measures ways of training, in turn, on the task's own data."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from time import perf_counter

from schedsearch.training.choice.block_cost import Waves, wave_seconds
from schedsearch.training.choice.prepared import Prepared
from schedsearch.training.choice.way import Way
from schedsearch.training.device import threads, wait_for
from schedsearch.training.recipe import Recipe

_ROUNDS = 2  # how often each way is measured, in turn with the others; the faster time counts
_HOPELESS = 1.5  # a way that takes this many times the best so far is not measured any further


class Bench:
    """Measures ways of training for one recipe; what the ways share is made once.

    Args:
        recipe: how jobs are trained.
        prepare: makes what trains in a way, given the recipe in the way's memory format.
        base: the name of the engine that trains single jobs beside the stacks of another.
        seconds: of one measurement.
        waves: jobs that will be trained together, and steps of each job.
        leftovers: whether jobs too few to fill a block may be trained one at a time.
    """

    def __init__(
        self,
        recipe: Recipe,
        prepare: Callable[[Way, Recipe], Prepared],
        *,
        base: str,
        seconds: float,
        waves: Waves,
        leftovers: bool = True,
    ) -> None:
        self._recipes, self._prepare = {False: recipe}, prepare
        self._base, self._leftovers = base, leftovers
        self._seconds, self._waves = seconds, waves
        self._steppers: dict[Way, Callable[[int], None]] = {}
        self.prepared: dict[Way, Prepared] = {}
        self.measured: dict[Way, float] = {}  # seconds of a step of one job

    def recipe(self, *, channels_last: bool) -> Recipe:
        """Return the recipe in a memory format."""
        if channels_last not in self._recipes:
            self._recipes[True] = self._recipes[False].channels_last()
        return self._recipes[channels_last]

    def adopt(self, way: Way, prepared: Prepared) -> None:
        """Measure a way with what is prepared already."""
        self.prepared[way], self._steppers[way] = prepared, prepared.stepper()

    def measure(self, ways: Sequence[Way]) -> None:
        """Measure each way: the seconds of a step of one job, the better of two rounds."""
        for _ in range(_ROUNDS):
            for way in ways:
                hopeless = _HOPELESS * min(self.measured.values(), default=float("inf"))
                known = self.measured.get(way, float("inf"))
                if way in self.measured and known > hopeless:
                    continue
                jobs = way.size * way.lanes
                with threads(way.threads):
                    took = self._time(self._stepper(way), hopeless * jobs)
                self.measured[way] = min(known, took / jobs)

    def priced(self, way: Way) -> Way:
        """Return a measured way with the seconds and threads that were measured for it."""
        same = [w for w in self.measured if w.channels_last == way.channels_last]
        alone = self.fastest_loop(same)
        jobs = way.size * way.lanes
        leftovers = self._leftovers and way.block is not None
        costs = replace(
            way,
            block_seconds=self.measured[way] * jobs,
            alone_seconds=self.measured[alone] if leftovers else 0.0,
            alone_threads=alone.threads,
        )
        steps = sum(jobs * steps for jobs, steps in self._waves)
        return replace(costs, step_seconds=wave_seconds(costs, self._waves) / steps)

    def seconds(self, way: Way) -> float:
        """Return the seconds of a step of one job, on the average of the waves."""
        return self.priced(way).step_seconds

    def best(self, kinds: Iterable[str] | None = None) -> Way:
        """Return the way that trains the waves fastest, among those of all or some engines."""
        wanted = {way.kind for way in self.measured} if kinds is None else set(kinds)
        return min((way for way in self.measured if way.kind in wanted), key=self.seconds)

    def fastest_loop(self, ways: Iterable[Way] | None = None) -> Way:
        """Return the way that trains one job after the other fastest."""
        loops = (w for w in (self.measured if ways is None else ways) if w.kind == self._base)
        return min(loops, key=self.measured.__getitem__)

    def _stepper(self, way: Way) -> Callable[[int], None]:
        if way not in self._steppers:
            self.adopt(way, self._prepare(way, self.recipe(channels_last=way.channels_last)))
        return self._steppers[way]

    def _time(self, steps: Callable[[int], None], hopeless: float) -> float:
        """Return the seconds of a step; a step that takes too long is measured only once."""
        device = self._recipes[False].task.device

        def seconds(count: int) -> float:
            started = perf_counter()
            steps(count)
            wait_for(device)
            return (perf_counter() - started) / count

        steps(1)  # the first step makes the optimizer's state
        first = seconds(1)
        if first > max(hopeless, self._seconds):
            return first
        return seconds(max(3, int(self._seconds / first)))
