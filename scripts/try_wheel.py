"""Build the wheel, install it outside the checkout, and run a small study and its schedule there.

The environment is a new one. It finds the dependencies of the interpreter that runs this file by a
path file, which saves the minutes of installing torch again; an editable installation there is not
found that way, so `schedsearch` is the wheel's, and what is tried says where it came from.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ("schedsearch", "pyproject.toml", "README.md", "LICENSE")
PACKAGED = (".py", ".pyi", ".typed", ".html", ".css", ".js")
STUDY = """
task = "digits"
families = ["StepLR", "CosineAnnealingLR"]
trials = 4

[training]
total_steps = 60
evals_per_run = 5

[confirmation]
finalists = 2
seeds = 4
"""
REUSE = """
import json, sys
import torch, schedsearch

schedule = schedsearch.load_schedule("runs/small/best.json")
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
scheduler = schedule.build(optimizer, total_steps=50)
assert optimizer.param_groups[0]["lr"] == schedule.trace(50)[0]
heavy = [name for name in ("optuna", "pandas", "sqlalchemy", "sklearn") if name in sys.modules]
print(json.dumps([schedsearch.__file__, type(scheduler).__name__, heavy]))
"""


def call(*command: str | Path, cwd: Path) -> str:
    """Run a command with nothing of the checkout in its environment; return what it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"scripts/test_wheel: {command[0]} failed\n{done.stdout}{done.stderr}")
    return done.stdout


def build_wheel(folder: Path) -> Path:
    """Build the wheel of a copy of the checkout: an old build/ here must not get into it."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet")
    call(*pip, "--no-deps", "--wheel-dir", folder, source, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def refuse_missing_files(wheel: Path) -> None:
    """End with an error if the wheel lacks a file of the package."""
    packaged = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "schedsearch"
    files = (path for path in package.rglob("*") if path.suffix in PACKAGED)
    missing = sorted({path.relative_to(ROOT).as_posix() for path in files} - packaged)
    if missing:
        sys.exit(f"scripts/test_wheel: {wheel.name} lacks {', '.join(missing)}")


def make_environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel in it; return its folder of programs."""
    call(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    programs = folder / "bin"
    python = programs / "python"
    call(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-index", wheel),
        cwd=folder.parent,
    )
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(call(python, "-c", where, cwd=folder.parent).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return programs


def main() -> None:
    """Build, install, run, reuse; print what was done."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheel = build_wheel(folder)
        refuse_missing_files(wheel)
        programs = make_environment(folder / "environment", wheel)
        empty = folder / "empty"
        empty.mkdir()
        (empty / "small.toml").write_text(STUDY)
        call(programs / "schedsearch", "run", "small.toml", "--quiet", cwd=empty)
        written = sorted(path.name for path in (empty / "runs" / "small").iterdir())
        if not {"best.json", "report.html"} <= set(written):
            sys.exit(f"scripts/test_wheel: the run wrote {written} only")
        output = call(programs / "python", "-c", REUSE, cwd=empty)
        origin, scheduler, heavy = json.loads(output)
        if not Path(origin).is_relative_to(folder / "environment"):
            sys.exit(f"scripts/test_wheel: schedsearch came from {origin}")
        if heavy:
            sys.exit(f"scripts/test_wheel: load_schedule(...).build(...) imported {heavy}")
        print(
            f"{wheel.name}: ran a study, wrote its report, and built a {scheduler} from best.json"
        )


if __name__ == "__main__":
    main()
