"""char_lm: the next character of the help texts that come with Python (`pydoc_data.topics`).

The texts differ a little between versions of Python, and so do losses: compare numbers of one
version only. The characters that a model knows are fixed: it has the same shapes everywhere.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from schedsearch.errors import DataError
from schedsearch.tasks.split import Split
from schedsearch.tasks.task import Data, TaskSource
from schedsearch.tasks.transformer import Transformer, decay_groups

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))  # printable ASCII; any other is one more
_TOKENS = len(CHARACTERS) + 1
_LENGTH = 64  # characters of an example
_SHARES = (0.8, 0.1)  # of the examples, for training and validation; the rest is the test split


def _topics() -> dict[str, str]:
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise DataError(
            "this Python comes without its help texts, pydoc_data.topics, which char_lm is trained "
            "on (Debian: apt install libpython3-stdlib)"
        ) from error
    return topics


def encoded(text: str) -> Tensor:
    r"""Return the numbers `[len(text)]` of a text's characters.

    >>> encoded("a\né").tolist()
    [66, 0, 96]
    """
    numbers = {character: i for i, character in enumerate(CHARACTERS)}
    return torch.tensor([numbers.get(character, len(CHARACTERS)) for character in text])


def _load(folder: Path | None) -> Data:
    topics = _topics()
    text = "\n".join(topics[name] for name in sorted(topics))
    pieces = (text[i : i + _LENGTH + 1] for i in range(0, len(text) - _LENGTH, _LENGTH + 1))
    different = {piece[:-1]: piece for piece in pieces}  # some passages stand under several topics
    rows = torch.stack([encoded(piece) for piece in different.values()])
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(0))]
    train, validation = (int(share * len(rows)) for share in _SHARES)
    parts = rows.tensor_split([train, train + validation])
    return Data(*(Split(part[:, :-1].contiguous(), part[:, 1:].contiguous()) for part in parts))


def token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross entropy of all tokens: outputs `[B, T, C]`, targets `[B, T]`."""
    return cross_entropy(outputs.flatten(0, 1), targets.flatten())


CHAR_LM = TaskSource(
    name="char_lm",
    about="the next of 97 characters in Python's own help texts, 64 at a time",
    models={
        "transformer": lambda: Transformer(_TOKENS, _LENGTH, width=64, heads=4, depth=2),
        "transformer_gpu": lambda: Transformer(_TOKENS, _LENGTH, width=256, heads=8, depth=6),
    },
    load=_load,
    loss=token_loss,
    metrics=("token_accuracy", "perplexity"),
    target=("val_token_accuracy", 0.4),
    groups=decay_groups,
    loss_weight=lambda outputs, targets: targets.numel(),
)
