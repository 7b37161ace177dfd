"""How much compute a search needs for what it finds, and how sure what it says is.

    table    train the truth tables: random schedules at every horizon, and on fresh seeds
    replay   thousands of searches replayed over them: trainings in full, cut, and squeezed
    live     real searches at equal steps: random, TPE, pruners over cut trainings, schedsearch
    rank     how well one joint search and rank mode order the families
    claims   how often a confirmation names a winner that is none

What has been trained is kept in runs/bench-search, and never trained again.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command `schedsearch` has it

from search_bench import claims, rank, tables
from search_bench.live import FAMILIES
from search_bench.replay import BUDGETS
from search_bench.setups import SETUPS, Setup
from search_bench.table import Table, load_table

LIVE_BUDGETS = (3.0, 6.0, 9.0, 9.6, 12.0, 18.0, 24.0)
DEFAULT_RUNGS = {
    "fashion": ((100, 450), 4),
    "digits": ((100, 200), 4),
}  # the nearest that are trained


def show_table(table: Table) -> dict[str, Any]:
    """Print how well cheap trainings rank the pool."""
    rows = tables.fidelity_rows(table)
    setup = table.setup
    print(
        f"\n{setup.name}: rank correlation of a cheap training with the truth "
        f"({len(table.schedules)}"
    )
    print(f"schedules, {setup.total_steps} steps; seed noise {table.noise:.4f})\n")
    print(tables.markdown(("cheap training", "all", "better half"), rows))
    return {"fidelity": rows, "noise": table.noise}


def show_replay(table: Table) -> dict[str, Any]:
    """Print regrets of replayed searches."""
    rungs, eta = DEFAULT_RUNGS[table.setup.name]
    found = tables.replayed(table, rungs, eta)
    print(f"\n{table.setup.name}: mean regret by compute in full-run equivalents, replayed\n")
    print(tables.markdown(("search", *(f"{b:g}" for b in BUDGETS)), found.rows()))
    print(f"\n{found.sentence()}")
    best = tables.survey(table)[:5]
    print("\nRungs and eta that did best (mean regret at 6, 9, 12 and 24):")
    for row in best:
        print(f"  {row['rungs']}, eta {row['eta']}: {row['mean']:.4f}")
    return {"replay": found.rows(), "reached": found.sentence(), "survey": best}


def show_live(table: Table, seeds: int) -> dict[str, Any]:
    """Print regrets of live searches."""
    curves = tables.live_curves(table, seeds, LIVE_BUDGETS)
    print(
        f"\n{table.setup.name}: mean regret on fresh seeds by compute, {seeds} study seeds, live\n"
    )
    print(tables.markdown(("search", *(f"{b:g}" for b in LIVE_BUDGETS)), curves.rows()))
    said = curves.sentences()
    print("\n" + "\n".join(said))
    return {"live": curves.rows(), "compared": said}


def show_rank(table: Table, seeds: int) -> dict[str, Any]:
    """Print how families were ranked, and how well they can be."""
    replayed = {trials: rank.replayed_tau(table, trials) for trials in (5, 10, 20)}
    agree = rank.ceiling(table)
    print(f"\n{table.setup.name}: Kendall's tau of {len(FAMILIES)} families' order")
    print(
        f"between two and three fresh seeds: {agree:.2f} (no ranking can be expected to do better)"
    )
    for trials, tau in replayed.items():
        print(f"replayed, the best of {trials} random schedules of each family in full: {tau:.2f}")
    rows = rank.rows(rank.scores(table, seeds), table.setup.total_steps)
    print(f"\n{table.setup.name}: families ranked, {seeds} study seeds\n")
    head = ("way", "full-run equivalents", "Kendall's tau", "best family, or its equal, first")
    print(tables.markdown(head, rows))
    return {"rank": rows, "ceiling": agree, "replayed": replayed}


def show_claims(every: Sequence[Table]) -> dict[str, Any]:
    """Print how often a winner is named in simulated confirmations."""
    rows = claims.rows({table.setup.name: table.noise for table in every})
    print(f"\nWinners named in {claims.SIMULATIONS} simulated confirmations ", end="")
    print(f"({claims.SCHEDULES} schedules, {claims.SEEDS} seeds)\n")
    print(
        tables.markdown(("noise of", "seed noise", "all equal", "ahead by twice the noise"), rows)
    )
    return {"claims": rows}


def main() -> None:
    """Print tables, or JSON."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench search",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = ("table", "replay", "live", "rank", "claims")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(parts)}")
    parser.add_argument("--setup", choices=[s.name for s in SETUPS], help="one of them only")
    parser.add_argument("--seeds", type=int, default=10, help="study seeds of live and rank")
    parser.add_argument("--threads", type=int, help="intra-op threads (default: measured)")
    parser.add_argument("--json", metavar="FILE", help="write all numbers there too")
    args = parser.parse_args()
    wrong = [part for part in args.parts if part not in parts]
    if wrong:
        parser.error(f"unknown part {wrong[0]!r} (allowed: {', '.join(parts)})")
    if args.seeds < 2:
        parser.error(f"--seeds {args.seeds}: at least 2, for a standard error")
    chosen: list[Setup] = [s for s in SETUPS if args.setup in (None, s.name)]
    every = [load_table(setup, thread_count=args.threads) for setup in chosen]
    shown: dict[str, Callable[[Table], dict[str, Any]]] = {
        "table": show_table,
        "replay": show_replay,
        "live": lambda table: show_live(table, args.seeds),
        "rank": lambda table: show_rank(table, args.seeds),
    }
    numbers: dict[str, Any] = {table.setup.name: {} for table in every}
    for part in parts:
        if args.parts and part not in args.parts:
            continue
        if part == "claims":
            numbers |= show_claims(every)
            continue
        for table in every:
            numbers[table.setup.name] |= shown[part](table)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(numbers, file, indent=1)


if __name__ == "__main__":
    main()
