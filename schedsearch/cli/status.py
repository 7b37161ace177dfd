"""`schedsearch status`: how far a run is, and what it was made with."""

from typing import TYPE_CHECKING

import typer

from schedsearch.cli.options import RUNS_DIR, RunArgument, RunsDir, Storage, opened

if TYPE_CHECKING:
    from schedsearch.store.run import Run


def status(run: RunArgument, runs_dir: RunsDir = RUNS_DIR, storage: Storage = None) -> None:
    """Show how far a run is, its best families, and what it was made with.

    Example:  schedsearch status runs/digits
    """
    from schedsearch.cli.show.leaderboard import print_leaderboard

    found = opened(run, runs_dir, storage)
    for key, text in _lines(found).items():
        typer.echo(f"{key:<9} {text}")
    typer.echo("")
    print_leaderboard(found)


def _lines(run: "Run") -> dict[str, str]:
    from schedsearch.report.wording import what_is_trained
    from schedsearch.store.connect import masked
    from schedsearch.store.records import FIDELITY

    config, attributes = run.config, run.attributes
    made, identity = attributes["provenance"], attributes["identity"]
    counts = run.trials()["state"].value_counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "none yet"
    ranks = ", as many for each family" if config.mode == "rank" else ""
    lines = {
        "run": f"{run.name} in {masked(run.place.url)}",
        "trainer" if config.is_own else "task": what_is_trained(config, identity),
        "trials": f"{states}; of {config.trials}{ranks}",
        "made on": f"{made['device']} of {made['host']}, torch {made['versions']['torch']}, "
        f"optuna {made['versions']['optuna']}, commit {made['commit'] or 'unknown'}",
        "confirmed": _confirmed(run),
        "space": f"{attributes['fingerprint']}, seed {config.seed}",
    }
    fidelity = attributes.get(FIDELITY, {}).get("text")
    return lines | ({"fidelity": fidelity.removeprefix("fidelity: ")} if fidelity else {})


def _confirmed(run: "Run") -> str:
    from schedsearch.confirmation.read import confirmation_of, last_confirmation

    confirmed = confirmation_of(run)
    if confirmed is not None:
        return confirmed.sentence()
    return "no, not since the last trials" if last_confirmation(run) else "no"
