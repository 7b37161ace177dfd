"""Print the leaderboard of a run."""

from typing import TYPE_CHECKING

import typer

from schedsearch.cli.show.tables import print_table

if TYPE_CHECKING:
    from schedsearch.store.run import Run


def print_leaderboard(run: "Run") -> None:
    """Print the best trial of each family, and advice where a best rate lies at an edge."""
    from schedsearch.report.edges import edge_advice_of, widening_of
    from schedsearch.report.leaderboard import counted, leaderboard_of

    board = counted(leaderboard_of(run), run.config.training.unit)
    print_table(board if board["torch_class"].notna().any() else board.drop(columns="torch_class"))
    for text in (widening_of(run.attributes), edge_advice_of(run)):
        if text is not None:
            typer.echo(text)
