"""Run a trainer function of the user's own in this process, for the search that started it.

    python -m schedsearch.training.own.worker FUNCTION SCHEDULE TOTAL_STEPS SEED LAST_STEP

FUNCTION is its import path. Evaluations go to standard output, one JSON object in a line; what the
function prints goes to standard error.
"""

import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from schedsearch.errors import SchedsearchError
from schedsearch.imports import import_path
from schedsearch.schedules.load import load_schedule
from schedsearch.training.own.report import Report, StopTraining

_OURS = str(Path(__file__).parents[2])


def main(path: str, schedule: str, *numbers: str) -> None:
    """Train, and report each evaluation."""
    total_steps, seed, last_step = map(int, numbers)
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(values: dict[str, Any]) -> bool:
        print(json.dumps(values), file=lines, flush=True)
        return bool(values["step"] >= last_step)

    function: Any = import_path(path, "trainer")
    try:
        with suppress(StopTraining):
            function(load_schedule(schedule), total_steps, seed, Report(tell))
    except SchedsearchError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except Exception as error:
        sys.exit(users_traceback(error))


def users_traceback(error: Exception) -> str:
    """Return the traceback of an error, from the first frame of the user's own on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OURS):
        trace = trace.tb_next
    return "".join(traceback.format_exception(error.with_traceback(trace))).strip()


if __name__ == "__main__":
    main(*sys.argv[1:])
