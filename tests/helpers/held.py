"""Examples of a task that are known to lie in memory."""

from schedsearch import Split


def held(examples: object) -> Split:
    assert isinstance(examples, Split)
    return examples
