"""What an import or a command loads: a front door, and commands that only read, open at once."""

import json
import subprocess
import sys
from collections.abc import Callable, Set
from pathlib import Path

import pytest

from schedsearch import Schedule

HEAVY = frozenset(
    {
        *("torch", "torchvision", "optuna", "pandas", "numpy", "scipy", "sklearn", "sqlalchemy"),
        *("plotly", "matplotlib", "pyarrow", "pydantic", "optuna_dashboard", "alembic"),
    }
)
REPORT = """
import json, sys
names = {name.partition(".")[0] for name in sys.modules}
own = sorted(name for name in sys.modules if name.startswith("schedsearch."))
print(json.dumps({"roots": sorted(names), "own": own}), file=sys.stderr)
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Callable[[str], tuple[Set[str], Set[str]]]:
    """Return a function that runs code in a fresh interpreter: what is imported then.

    It gives the names of all packages, and of this package's modules.
    """

    def call(code: str) -> tuple[Set[str], Set[str]]:
        done = subprocess.run(
            [sys.executable, "-c", code + REPORT],
            cwd=tmp_path,
            env=None,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stderr.splitlines()[-1])
        return frozenset(found["roots"]), frozenset(found["own"])

    return call


def test_importing_the_package_imports_nothing_heavy(
    loaded: Callable[[str], tuple[Set[str], Set[str]]],
) -> None:
    roots, own = loaded("import schedsearch; dir(schedsearch); schedsearch.__version__")
    assert not roots & HEAVY
    assert own == set()


def test_building_a_stored_schedule_imports_torch_and_the_schedules_only(
    loaded: Callable[[str], tuple[Set[str], Set[str]]], tmp_path: Path
) -> None:
    params = {"step_frac": 0.5, "gamma": 0.1}
    (tmp_path / "best.json").write_text(Schedule("StepLR", 0.1, params).to_json())
    roots, own = loaded(
        "import torch, schedsearch\n"
        "optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)\n"
        "scheduler = schedsearch.load_schedule('best.json').build(optimizer, 10)\n"
        "assert type(scheduler) is torch.optim.lr_scheduler.StepLR\n"
        "assert scheduler.get_last_lr() == [0.1]\n"
    )
    assert "torch" in roots
    assert not roots & (HEAVY - {"torch", "numpy"})  # numpy: torch's own
    groups = {name.split(".")[1] for name in own}
    assert groups <= {"schedules", "errors", "horizon", "imports"}


@pytest.mark.parametrize("command", ["list", "status", "trials", "curves", "--help"])
def test_commands_that_only_read_import_no_torch(
    loaded: Callable[[str], tuple[Set[str], Set[str]]], finished: Path, command: str
) -> None:
    arguments = {"list": ["--runs-dir", str(finished.parent)], "--help": []}
    words = ["schedsearch", command, *arguments.get(command, [str(finished)])]
    roots, _ = loaded(
        f"import sys; sys.argv = {words!r}\n"
        "from schedsearch.cli.app import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code\n"
    )
    unused = {"torch", "torchvision", "scipy", "sklearn", "plotly", "matplotlib"}
    assert not roots & (HEAVY if command == "--help" else unused)
