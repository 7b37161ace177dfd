"""The notes on a study and on its notable trials in the dashboard, in Markdown."""

import json
import re
import shlex
from collections.abc import Mapping

import pandas as pd

from schedsearch.report.answer import answer, code_for
from schedsearch.report.leaderboard import leaderboard
from schedsearch.report.snapshot import Snapshot, TrialRow
from schedsearch.report.tables import cells
from schedsearch.report.wording import schedule_in_words, target_in_words, with_class

_COLUMNS = ("peak_lr", "finished", "diverged", "pruned")


def plain(text: str) -> str:
    r"""Return a text with the signs of Markdown escaped.

    >>> print(plain("a*b <i>|x|"))
    a\*b \<i\>\|x\|
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)


def study_note(run: Snapshot, study_ids: Mapping[str, int]) -> str:
    """Return the note on a study: the answer, the leaderboard, and the code to reuse it.

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
    columns = [o.name for o in run.told] + list(_COLUMNS)
    rows = [["family", "best trial", *(name.replace("_", " ") for name in columns)]]
    rows.append(["---", *["---:"] * (len(rows[0]) - 1)])
    for family, values in zip(board["family"], cells(board[columns]), strict=True):
        row = best.get(family)
        trial = "" if row is None else _link(row, study_ids)
        rows.append([plain(with_class(str(family))), trial, *values])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _link(row: TrialRow, study_ids: Mapping[str, int]) -> str:
    url = f"/dashboard/studies/{study_ids[row.study]}/trials?numbers={row.trial}"
    return f"[{row.trial}]({url})"


def notable(run: Snapshot) -> dict[tuple[str, int], list[str]]:
    """Return the notable trials by study and number, with the reasons; best first.

    These are the winner, the finalists of a confirmation, and the best of each family.
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
                reached = f"mean {run.objective.name} {run.objective.text(each.mean.value)}"
            seeds = f"{len(each.results)} seeds: {reached}"
            add(its.study, its.trial, f"a finalist of the confirmation ({seeds})")
    for row in run.best_rows():
        add(row.study, row.trial, f"the best of {row.family}")
    return why


def trial_note(run: Snapshot, row: TrialRow, why: list[str]) -> str:
    """Return the note on a trial: its schedule, why it is notable, its result, its code.

    Args:
        run: the run.
        row: the trial.
        why: the reasons that `notable` returned.
    """
    reasons = "; ".join(why)
    words = plain(schedule_in_words(json.loads(row.schedule)))
    measured = [f"{o.words} {o.text(row.measured[o.name])}" for o in run.objectives]
    measured += [f"training loss {row.train_loss:.4g}"] * (row.train_loss == row.train_loss)
    reached = ", ".join(measured)
    parts = [
        f"### {words}",
        f"{plain(reasons[:1].upper() + reasons[1:])}.",
        plain(f"After {row.steps} steps: {reached}."),
    ]
    if run.target is not None and pd.notna(row.steps_to_target):
        target = target_in_words(run.target)
        parts.append(f"It reached the target, {plain(target)}, at step {row.steps_to_target}.")
    code = code_for(run.schedule_of(row.study, row.trial))
    if code:
        parts.append(f"```python\n{code}\n```")
    return "\n\n".join(parts)
