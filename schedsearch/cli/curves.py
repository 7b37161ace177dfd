"""`schedsearch curves`: one row per evaluation of each trial."""

from schedsearch.cli.options import RUNS_DIR, Form, Output, RunArgument, RunsDir, Storage, opened


def curves(
    run: RunArgument,
    form: Form = "table",
    output: Output = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Print one row per evaluation of each trial.

    Example:  schedsearch curves runs/digits --format parquet -o curves.parquet
    """
    from schedsearch.report.tables import find_format, write_frame

    form = find_format(form)
    frame = opened(run, runs_dir, storage).curves()
    write_frame(frame.drop(columns=["study"]) if form == "table" else frame, form, output)
