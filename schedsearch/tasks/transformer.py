"""Transformer: a small causal language model.

Vaswani et al. 2017, https://arxiv.org/abs/1706.03762, with the norm behind each addition, as there:
that is what makes a warm-up matter (Xiong et al. 2020, https://arxiv.org/abs/2002.04745).
"""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention


class Layer(nn.Module):
    """Causal attention, then a perceptron on each token; a norm behind each addition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_heads = nn.Linear(width, 3 * width)
        self.from_heads = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map `[B, T, width]` to the same shape; a token sees those in front of it, and itself."""
        x = self.norms[0](x + self._attend(x))
        after: Tensor = self.norms[1](x + self.down(gelu(self.up(x))))
        return after

    def _attend(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.to_heads(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [B, heads, T, width / heads]
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True)
        found: Tensor = self.from_heads(mixed.transpose(1, 2).reshape(batch, length, width))
        return found


class Transformer(nn.Module):
    """Embeddings of tokens and places, layers, and a linear layer to the tokens.

    Args:
        tokens: the number of different tokens.
        length: the longest sequence.
        width: of each token's vector; a multiple of `heads`.
        heads: of each layer's attention.
        depth: the number of layers.

    >>> model = Transformer(tokens=10, length=8, width=16, heads=2, depth=1)
    >>> sum(p.numel() for p in model.parameters())
    3738
    """

    def __init__(self, tokens: int, length: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(tokens, width), nn.Embedding(length, width)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=0.02)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(depth)))
        self.to_tokens = nn.Linear(width, tokens)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens `[B, T]` to logits `[B, T, tokens]` of each next token."""
        places = self.places.weight[: tokens.shape[1]]
        logits: Tensor = self.to_tokens(self.layers(self.tokens(tokens) + places))
        return logits


def decay_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Return two parameter groups: matrices, and what weight decay is not meant for.

    That is biases, norms and embeddings, as in the training of GPT-2 and its successors.

    >>> groups = decay_groups(Transformer(tokens=10, length=8, width=16, heads=2, depth=1))
    >>> [(len(group["params"]), group.get("weight_decay")) for group in groups]
    [(5, None), (11, 0.0)]
    """
    embeddings = {id(layer.weight) for layer in model.modules() if isinstance(layer, nn.Embedding)}
    parts: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for parameter in model.parameters():
        parts[parameter.dim() < 2 or id(parameter) in embeddings].append(parameter)
    return [{"params": parts[0]}, {"params": parts[1], "weight_decay": 0.0}]
