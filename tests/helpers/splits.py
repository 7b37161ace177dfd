"""The splits of tasks whose data lie in memory."""

from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data


def split_of(examples: object) -> Split:
    """Return examples that are known to be a split."""
    assert isinstance(examples, Split)
    return examples


def splits(data: Data) -> tuple[Split, Split, Split]:
    """Return the three splits of data: for training, validation and test."""
    return split_of(data.train), split_of(data.validation), split_of(data.test)
