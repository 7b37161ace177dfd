"""`schedsearch trials`: one row per trial."""

from schedsearch.cli.options import RUNS_DIR, Form, Output, RunArgument, RunsDir, Storage, opened

# Left out of a table, which must fit a screen.
_WIDE = ("study", "owner", "started", "ended", "schedule", "train_loss")


def trials(
    run: RunArgument,
    form: Form = "table",
    output: Output = None,
    runs_dir: RunsDir = RUNS_DIR,
    storage: Storage = None,
) -> None:
    """Print one row per trial.

    Example:  schedsearch trials runs/digits --format csv -o trials.csv
    """
    from schedsearch.report.tables import find_format, write_frame
    from schedsearch.report.wording import short_params

    form = find_format(form)
    frame = opened(run, runs_dir, storage).trials()
    if form == "table":
        frame = frame.drop(columns=list(_WIDE))
        frame["params"] = [short_params(text) for text in frame["params"]]
    write_frame(frame, form, output)
