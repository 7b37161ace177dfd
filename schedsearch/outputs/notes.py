"""What the dashboard says of a study and of its notable trials, in Markdown."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

import pandas as pd

from schedsearch.analysis.leaderboard import leaderboard
from schedsearch.analysis.snapshot import Snapshot
from schedsearch.analysis.wording import schedule_in_words
from schedsearch.outputs.answer import answer, code_for
from schedsearch.outputs.tables import cells

_COLUMNS = ("val_loss", "val_accuracy", "base_lr", "finished", "diverged", "pruned")


def plain(text: str) -> str:
    r"""Keep Markdown from reading signs in a text.

    >>> print(plain("a*b <i>|x|"))
    a\*b \<i\>\|x\|
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)


def study_note(run: Snapshot, study_ids: Mapping[str, int]) -> str:
    """Say what was found: the answer, the leaderboard, and the code to reuse it.

    Args:
        run: the run, or the part of it that one study holds.
        study_ids: the ids of its studies, for links to their trials.
    """
    found = answer(run)
    parts = [f"### {plain(found.headline)}", *map(plain, found.sentences), _board(run, study_ids)]
    if found.code:
        parts.append(f"```python\n{found.code}\n```")
    parts.append(
        f"*Written by schedsearch.* The whole answer: `schedsearch report {shlex.quote(run.name)}`"
    )
    return "\n\n".join(filter(None, parts))


def _board(run: Snapshot, study_ids: Mapping[str, int]) -> str:
    board = leaderboard(run.trials, run.objective)
    if board.empty:
        return ""
    best = {row.family: row for row in run.best_rows()}
    rows = [["family", "best trial", *(name.replace("_", " ") for name in _COLUMNS)]]
    rows.append(["---", *["---:"] * (len(rows[0]) - 1)])
    for family, values in zip(board["family"], cells(board[list(_COLUMNS)]), strict=True):
        row = best.get(family)
        trial = "" if row is None else _link(row, study_ids)
        rows.append([plain(str(family)), trial, *values])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _link(row: Any, study_ids: Mapping[str, int]) -> str:
    place = f"/dashboard/studies/{study_ids[row.study]}/trials?numbers={row.trial}"
    return f"[{row.trial}]({place})"


def notable(run: Snapshot) -> dict[tuple[str, int], list[str]]:
    """Return why a trial is worth a note, by study and number; the best first.

    They are the winner, the finalists of a confirmation, and the best of each family.
    """
    why: dict[tuple[str, int], list[str]] = {}

    def add(study: str, trial: int, what: str) -> None:
        why.setdefault((study, trial), []).append(what)

    winner = run.winner()
    if winner is not None:
        confirmed = run.confirmed is not None
        what = "the winner on fresh seeds" if confirmed else "the best of the search so far"
        add(winner.study, winner.trial, what)
    for each in run.confirmed.finalists if run.confirmed else ():
        its = run.row_of(each.finalist)
        if its is not None:
            if each.diverged:
                reached = f"diverged on {each.diverged} of them"
            else:
                reached = f"mean {run.objective} {each.mean.value:.4g}"
            seeds = f"{len(each.results)} seeds: {reached}"
            add(its.study, its.trial, f"a finalist of the confirmation ({seeds})")
    for row in run.best_rows():
        add(row.study, row.trial, f"the best of {row.family}")
    return why


def trial_note(run: Snapshot, row: Any, why: list[str]) -> str:
    """Say why a trial is notable, what its schedule is, what it reached, and how to reuse it.

    Args:
        run: its run.
        row: its row of the frame of trials.
        why: as `notable` says.
    """
    reasons = "; ".join(why)
    words = plain(schedule_in_words(row.family, row.base_lr, row.warmup_frac, row.params))
    parts = [
        f"### {words}",
        f"{plain(reasons[:1].upper() + reasons[1:])}.",
        f"After {row.steps} steps: validation loss {row.val_loss:.4g}, validation accuracy "
        f"{row.val_accuracy:.2%}, training loss {row.train_loss:.4g}.",
    ]
    if pd.notna(row.steps_to_target):
        parts.append(f"It came to the target accuracy at step {row.steps_to_target}.")
    code = code_for(run.schedule_of(row.study, row.trial))
    if code:
        parts.append(f"```python\n{code}\n```")
    return "\n\n".join(parts)
