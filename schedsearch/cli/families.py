"""`schedsearch families`: the families, their formulas and their parameters."""

from typing import Annotated

import typer

from schedsearch.cli.options import Markdown


def families(
    name: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="One family, in full.")
    ] = None,
    markdown: Markdown = False,
) -> None:
    """List the families; with a name, print its formula, its parameters and its rates.

    Example:  schedsearch families StepLR
    """
    from schedsearch.report.family_table import as_markdown, as_text, describe

    if name is not None:
        typer.echo(describe(name), nl=False)
        return
    typer.echo(as_markdown() if markdown else as_text(), nl=False)
