"""Whole digits studies, end to end, by `schedsearch run`: the reference engine and `auto`.

Every trial is trained in full. Each study is a process of its own in an empty folder, with an empty
compile cache: everything is included, from importing torch to best.json and report.html.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CASES = ((256, 144), (256, 600), (1000, 144), (1000, 600))
ROOT = Path(__file__).resolve().parent.parent


def study(trials: int, steps: int, engine: str, task: str) -> dict[str, Any]:
    """Run a study and give its seconds, and what the harness took of them."""
    source, _, model = task.partition("/")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.toml"
        file.write_text(
            f'task = "{source}"\nmodel = "{model}"\ntrials = {trials}\n'
            f'[training]\ntotal_steps = {steps}\nengine = "{engine}"\n'
            '[fidelity]\nkind = "full"\n'
        )
        command = [sys.executable, "-m", "schedsearch", "run", str(file), "--quiet"]
        command += ["--runs-dir", folder]
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "compiled")}
        started = time.perf_counter()
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
        harness = re.search(r"the harness added (\d+) ms", done.stdout)
        return {"seconds": seconds, "harness_ms": harness and int(harness[1])}


def main() -> None:
    """Print a table, or JSON."""
    parser = argparse.ArgumentParser(prog="scripts/bench study", description=__doc__)
    cases = ", ".join(f"{t}x{s}" for t, s in CASES)
    parser.add_argument(
        "cases", nargs="*", metavar="TRIALSxSTEPS", help=f"which studies (default: {cases})"
    )
    parser.add_argument("--task", default="digits/mlp", metavar="TASK/MODEL")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    args = parser.parse_args()
    try:
        chosen = [tuple(int(n) for n in case.split("x")) for case in args.cases] or CASES
        pairs = [(trials, steps) for trials, steps in chosen]
    except ValueError:
        parser.error("a case is TRIALSxSTEPS, for example 256x600")
    rows = []
    if not args.json:
        print(
            f"{os.cpu_count()} cores ({platform.machine()}), {args.task}; seconds, all included\n"
        )
        print("| trials | steps each | reference engine | `auto` | ratio | harness, ms a trial |")
        print("|---|---|---|---|---|---|")
    for trials, steps in pairs:
        took = {e: study(trials, steps, e, args.task) for e in ("reference", "auto")}
        ratio = took["reference"]["seconds"] / took["auto"]["seconds"]
        rows.append({"trials": trials, "steps": steps, "ratio": ratio, **took})
        if not args.json:
            print(
                f"| {trials} | {steps} | {took['reference']['seconds']:.0f} "
                f"| {took['auto']['seconds']:.0f} | {ratio:.1f}x "
                f"| {took['auto']['harness_ms']} |",
                flush=True,
            )
    if args.json:
        print(json.dumps({"machine": platform.platform(), "cores": os.cpu_count(), "rows": rows}))


if __name__ == "__main__":
    main()
