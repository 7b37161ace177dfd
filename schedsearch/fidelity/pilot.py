"""The pilot: its random schedules decide the kind of the rungs, once; they stay as the checks.

The identity of the run holds "auto" with the rungs that were asked for, and an attribute of its own
what was chosen.
"""

from collections.abc import Sequence
from math import isnan
from typing import Any, cast

from schedsearch.compat import storage_of, study_id_of
from schedsearch.fidelity.agreement import Agreement, choice_in_words, choose_kind
from schedsearch.fidelity.checks import train_checks, wait_for_checks
from schedsearch.fidelity.read import agreements_of, pilot_of
from schedsearch.search.context import Context
from schedsearch.search.events import Chosen
from schedsearch.search.plan import Kind, SubSearch
from schedsearch.search.results import Terms
from schedsearch.store.names import checks_name
from schedsearch.store.place import study_ids
from schedsearch.store.records import FIDELITY, PREFIX
from schedsearch.store.run import Run
from schedsearch.training.recipe import JobTrainer


def chosen_kind(run: Run) -> Kind | None:
    """Return the kind of rungs that a run's pilot chose; None where it has not chosen yet."""
    return cast("Kind | None", run.chosen_fidelity)


def choose_by_pilot(
    context: Context, terms: Terms, pilot: SubSearch, trainer: JobTrainer, after: int = 0
) -> Kind:
    """Train the pilot's schedules, choose the kind of the rungs by them, and store the choice.

    Whoever comes first decides; all other processes follow.

    Args:
        context: what all phases share.
        terms: what the search needs.
        pilot: what is drawn, and how many.
        trainer: trains them.
        after: the optimizer steps that are planned for after the pilot.
    """
    choice = _stored_choice(context.run)
    if choice is None:
        train_checks(context, terms, pilot, trainer, after)
        while not wait_for_checks(context, pilot):  # others train a part of it: theirs count too
            train_checks(context, terms, pilot, trainer, after)
        with context.lock:
            choice = _stored_choice(context.run)
            if choice is None:
                choice = _choose(context.run, pilot.rungs.horizons)
                study, key = context.study, f"{PREFIX}{FIDELITY}"
                storage_of(study).set_study_system_attr(study_id_of(study), key, choice)
    elif choice["kind"] != "full":
        train_checks(context, terms, pilot, trainer, after)  # there may be more of them now
    context.on_event(Chosen(choice["text"]))
    return cast(Kind, choice["kind"])


def store_agreements(run: Run) -> None:
    """Store, with the schedules that check the rungs, how well the rungs rank."""
    study_id = study_ids(run.storage, run.name).get(checks_name(run.name))
    if study_id is not None:
        found = rows(agreements_of(run))
        run.storage.set_study_system_attr(study_id, f"{PREFIX}agreements", found)


def rows(found: Sequence[Agreement]) -> list[dict[str, Any]]:
    """Return agreements as plain values; what is not a number is None."""
    every = [each.row() for each in found]
    return [
        {k: None if isinstance(v, float) and isnan(v) else v for k, v in row.items()}
        for row in every
    ]


def _stored_choice(run: Run) -> dict[str, Any] | None:
    choice: dict[str, Any] | None = run.attributes.get(FIDELITY)
    return choice


def _choose(run: Run, horizons: Sequence[int]) -> dict[str, Any]:
    squeezed, truncated = pilot_of(run, horizons)
    kind = choose_kind(squeezed, truncated)
    return {
        "kind": kind,
        "text": choice_in_words(kind, squeezed, truncated),
        "squeeze": rows(squeezed),
        "truncate": rows(truncated),
    }
