"""Own tasks of sequences: the next token, with and without padding."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from own_data import cut, random_numbers
from torch import Tensor, nn
from torch.nn import functional as F

from schedsearch import Data, TaskSource

VOCABULARY, LENGTH = 11, 8


def _tokens(folder: Any, *, padded: bool = False) -> Data:
    random, count = random_numbers(), 600
    x = torch.zeros(count, LENGTH + 1, dtype=torch.long)
    x[:, 0] = torch.randint(VOCABULARY, (count,), generator=random)
    for t in range(LENGTH):
        noise = torch.rand(count, generator=random) < 0.2
        other = torch.randint(VOCABULARY, (count,), generator=random)
        x[:, t + 1] = torch.where(noise, other, (x[:, t] * 3 + 1) % VOCABULARY)
    y = x[:, 1:].clone()
    if padded:  # shorter and shorter: pieces of rows hold different numbers of targets
        lengths = (torch.arange(count) * LENGTH // count + 1).unsqueeze(1)
        y[torch.arange(LENGTH) >= lengths] = -100
        order = torch.randperm(count, generator=random)[:300]
        rows = torch.cat([order, torch.arange(count)[~torch.isin(torch.arange(count), order)]])
        x, y = x[rows], y[rows]
    return cut(x[:, :-1].contiguous(), y.contiguous(), 300, 450)


def token_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


class Tokens(nn.Module):
    """An embedding, an optional recurrent layer, and an output layer."""

    def __init__(self, recurrent: Callable[..., nn.Module] | None = None) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 12)
        self.recurrent = recurrent and recurrent(12, 12, batch_first=True)
        self.output = nn.Linear(12, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens)
        if self.recurrent is not None:
            hidden = self.recurrent(hidden)[0]
        logits: Tensor = self.output(hidden)
        return logits


class Tied(Tokens):
    """The output layer has the weights of the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.output.weight = self.embedding.weight


class Attention(nn.Module):
    """One layer of a causal transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.output = nn.Linear(16, VOCABULARY)
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.output(self.block(self.embedding(tokens), src_mask=self.mask))
        return logits


TOKENS = TaskSource(
    name="own_tasks:TOKENS",
    about="the next token",
    models={
        "bigram": Tokens,
        "attention": Attention,
        "tied": Tied,
        "gru": partial(Tokens, nn.GRU),
        "lstm": partial(Tokens, nn.LSTM),
    },
    load=_tokens,
    loss=token_loss,
    metrics=["token_accuracy", "perplexity"],
    target=("val_token_accuracy", 0.5),
)
PADDED = TaskSource(
    name="own_tasks:PADDED",
    about="the next token; targets of -100 are padding",
    models={"bigram": Tokens},
    load=partial(_tokens, padded=True),
    loss=token_loss,
)
