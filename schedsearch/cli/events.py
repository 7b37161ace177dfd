"""`schedsearch events`: what `--json` prints."""

import typer

from schedsearch.cli.options import Markdown


def events(markdown: Markdown = False) -> None:
    """List the kinds of JSON objects that `--json` prints, one per line, with their keys.

    Example:  schedsearch events
    """
    from schedsearch.cli.show.json_lines import as_markdown, as_text

    typer.echo(as_markdown() if markdown else as_text(), nl=False)
