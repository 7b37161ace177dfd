"""The command line: parse, call, print. What is slow to import is imported by the commands."""

from schedsearch.cli.app import main

__all__ = ["main"]
