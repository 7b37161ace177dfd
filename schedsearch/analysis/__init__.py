"""What a run stored, as frames and tables. Needs no GPU, and no search that goes on."""

from schedsearch.analysis.confirmation import Confirmation
from schedsearch.analysis.run import Best, Run, delete_run, open_run

__all__ = ["Best", "Confirmation", "Run", "delete_run", "open_run"]
