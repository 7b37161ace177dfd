"""FixedJobs: each given job is trained once, whoever trains it, and nothing else is."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedsearch.compat import storage_of
from schedsearch.objective import find_objective
from schedsearch.schedules.schedule import Schedule
from schedsearch.search.events import Confirming, Event
from schedsearch.search.fixed_jobs import FixedJobs
from schedsearch.search.policy import Claim
from schedsearch.store.connect import open_storage, sqlite_url
from schedsearch.store.leases import Leases
from schedsearch.store.pairs import pair_of
from schedsearch.store.queue import Queue
from schedsearch.store.records import read_result
from schedsearch.store.writing import writer_of
from schedsearch.tasks.registry import load_task
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.recipe import Ended, Job, Recipe

RECIPE = Recipe(load_task("digits"), OptimizerSpec(), evals=2)
MakePolicy = Callable[..., FixedJobs]


def jobs(rates: int, seeds: int) -> list[Job]:
    return [
        RECIPE.job(Schedule("Constant", 0.1 * (rate + 1)), seed, 10)
        for seed in range(seeds)
        for rate in range(rates)
    ]


def ended(job: Job, loss: float = 0.5, **how: Any) -> Ended:
    rows = tuple(Evaluation(step, 0.1, loss, loss, 0.9, 0.1) for step in job.eval_steps)
    return Ended(job, Curve(rows, 2.3, **how))


def train(policy: FixedJobs, claims: list[Claim]) -> None:
    """End jobs, and store what they gave, as the loop does."""
    for claim in claims:
        for result in policy.ended(claim, ended(claim.job)):
            claim.queue.end([result.row])
            policy.on_event(result.event())


@pytest.fixture
def make_policy(tmp_path: Path) -> Iterator[MakePolicy]:
    """Return a maker of policies of one study; each stands for a process of its own."""
    held: list[Leases] = []
    studies: list[str] = []

    def make(
        wanted: list[Job], *, fresh: bool = False, events: list[Event] | None = None, **how: Any
    ) -> FixedJobs:
        if fresh or not studies:
            studies.append(sqlite_url(tmp_path / f"study-{len(studies)}.db"))
            optuna.create_study(study_name="a", storage=open_storage(studies[-1]))
        study = optuna.load_study(study_name="a", storage=open_storage(studies[-1]))
        storage = storage_of(study)
        leases = Leases(storage).__enter__()
        held.append(leases)
        queue = Queue(study, leases, writer_of(storage), nullcontext())
        told = [] if events is None else events
        return FixedJobs(
            queue, RECIPE, find_objective("val_loss"), wanted, "confirming", told.append, **how
        )

    yield make
    for leases in held:
        leases.__exit__(None, None, None)


def trained(policy: FixedJobs) -> list[Any]:
    trials = policy.queue.study.get_trials()
    return [pair_of(trial) for trial in trials]


def test_jobs_are_handed_out_up_to_the_room_and_each_once(make_policy: MakePolicy) -> None:
    events: list[Event] = []
    policy = make_policy(jobs(3, 2), events=events)
    first, second = policy.ask(4), policy.ask(4)
    assert [len(first), len(second), len(policy.ask(4))] == [4, 2, 0]
    assert policy.steps_ahead() == 0
    train(policy, [*first, *second])
    policy.look()
    assert policy.complete
    assert policy.ask(4) == []
    told = [event for event in events if isinstance(event, Confirming)]
    assert [event.done for event in told] == [0, 1, 2, 3, 4, 5, 6]
    assert len(set(trained(policy))) == len(trained(policy)) == 6


def test_claims_are_made_in_portions_and_handed_out_in_smaller_ones(
    make_policy: MakePolicy,
) -> None:
    policy = make_policy(jobs(5, 1), at_least=4)
    assert len(policy.ask(1)) == 1
    assert len(policy.queue.study.get_trials()) == 4
    assert policy.steps_ahead() == 4 * 10, "three that wait, one that is missing"


def test_two_processes_share_the_jobs(make_policy: MakePolicy) -> None:
    wanted = jobs(4, 2)
    one, other = make_policy(wanted), make_policy(jobs(4, 2))
    mine, theirs = one.ask(3), other.ask(3)
    assert len(mine) == len(theirs) == 3
    more = [*one.ask(3), *other.ask(3)]
    assert len(more) == 2
    train(one, mine)
    one.look()
    assert not one.complete, "the other trains the rest"
    assert len(one.unfinished) == 5
    train(other, [*theirs, *more])
    one.look()
    assert one.complete
    assert len(set(trained(one))) == len(trained(one)) == 8


def test_what_was_given_back_is_trained_under_its_number(make_policy: MakePolicy) -> None:
    one = make_policy(jobs(2, 2))
    claims = one.ask(4)
    train(one, claims[:1])
    one.queue.give_back([claim.trial_id for claim in claims[1:]])
    other = make_policy(jobs(2, 2))
    again = other.ask(9)
    assert [claim.number for claim in again] == [1, 2, 3]
    assert [claim.job.seed for claim in again] == [claim.job.seed for claim in claims[1:]]


def test_trials_of_another_list_are_left_alone(make_policy: MakePolicy) -> None:
    """The tuning of the baselines and the confirmation share a study."""
    tuning = make_policy(jobs(2, 1))
    tuning.queue.give_back([claim.trial_id for claim in tuning.ask(2)])
    confirming = make_policy([RECIPE.job(Schedule("Constant", 0.9), 5, 10)])
    (claim,) = confirming.ask(9)
    assert claim.number == 2
    assert confirming.ask(9) == []


def test_a_job_that_diverged_has_no_value_and_what_was_measured_is_stored(
    make_policy: MakePolicy,
) -> None:
    policy = make_policy(jobs(1, 1), measured=lambda ended: {"test_loss": 0.25})
    (claim,) = policy.ask(1)
    (result,) = policy.ended(claim, ended(claim.job, diverged=True))
    policy.queue.end([result.row])
    (trial,) = policy.queue.study.get_trials()
    assert (trial.state.name, trial.values) == ("PRUNED", None)
    assert read_result(trial)["test_loss"] == 0.25
    policy.look()
    assert policy.complete, "a job that diverged is done"


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["train", "give back"])),
        max_size=12,
    )
)
def test_whatever_several_processes_do_each_job_is_trained_once(
    make_policy: MakePolicy, steps: list[tuple[int, int, str]]
) -> None:
    policies = [make_policy(jobs(3, 2), fresh=True)]
    policies += [make_policy(jobs(3, 2)) for _ in range(2)]
    for who, room, then in steps:
        claims = policies[who].ask(room)
        if then == "train":
            train(policies[who], claims)
        else:
            policies[who].queue.give_back([claim.trial_id for claim in claims])
    for policy in policies:
        while claims := policy.ask(2):
            train(policy, claims)
    policies[0].look()
    assert policies[0].complete
    assert len(set(trained(policies[0]))) == len(trained(policies[0])) == 6
