"""Convolutions as matrix products and poolings as maxima, for many small models at once.

A convolution whose weights differ from job to job is, to torch, a grouped convolution, which is
slow on a CPU. Written as one matrix product over shifted copies of the input (im2col: Chellapilla,
Puri, Simard 2006), channels last, it becomes a batched product that torch.compile surrounds with
fused loops. The values are equal up to rounding. Where several inputs of a max pooling are exactly
equal, the gradient is shared evenly among them; torch gives the whole gradient to the first.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from schedsearch.compat import turn_into


def as_products(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose plain Conv2d and MaxPool2d layers are products and maxima.

    Layers of other kinds (groups, dilated or overlapping pooling) are not changed.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        if type(module) is nn.Conv2d and module.groups == 1 and module.padding_mode == "zeros":
            turn_into(module, _ProductConv2d)
        elif type(module) is nn.MaxPool2d and _tiles(module):
            turn_into(module, _AmaxPool2d)
    return model


def _pair(value: int | tuple[int, ...]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


class _ProductConv2d(nn.Conv2d):
    """A Conv2d computed as a matrix product over shifted copies of the input."""

    def forward(self, input: Tensor) -> Tensor:
        (kh, kw), (sh, sw) = _pair(self.kernel_size), _pair(self.stride)
        dh, dw = _pair(self.dilation)
        left, right, top, bottom = self._borders()
        x = pad(input.permute(0, 2, 3, 1), (0, 0, left, right, top, bottom))
        rows = (x.shape[1] - dh * (kh - 1) - 1) // sh + 1
        columns = (x.shape[2] - dw * (kw - 1) - 1) // sw + 1
        shifted = [
            x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]
            for i in range(0, dh * kh, dh)
            for j in range(0, dw * kw, dw)
        ]
        patches = torch.cat(shifted, dim=-1).reshape(len(x) * rows * columns, -1)
        out = patches @ self.weight.permute(2, 3, 1, 0).reshape(-1, self.out_channels)
        if self.bias is not None:
            out = out + self.bias
        return out.reshape(len(x), rows, columns, -1).permute(0, 3, 1, 2)

    def _borders(self) -> tuple[int, int, int, int]:
        """Return the padding (left, right, top, bottom) that torch would use."""
        if isinstance(self.padding, str):
            spans = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            high, wide = spans if self.padding == "same" else (0, 0)
            return wide // 2, wide - wide // 2, high // 2, high - high // 2
        high, wide = _pair(self.padding)
        return wide, wide, high, high


def _tiles(pool: nn.MaxPool2d) -> bool:
    """Return whether the windows of a pooling lie side by side, without a border."""
    plain = _pair(pool.padding) == (0, 0) and _pair(pool.dilation) == (1, 1)
    whole = not pool.ceil_mode and not pool.return_indices
    return plain and whole and _pair(pool.stride) == _pair(pool.kernel_size)


class _AmaxPool2d(nn.MaxPool2d):
    """A MaxPool2d computed as a maximum over the windows."""

    def forward(self, input: Tensor) -> Tensor:
        kh, kw = _pair(self.kernel_size)
        x = input.permute(0, 2, 3, 1)
        high, wide = x.shape[1] // kh, x.shape[2] // kw
        x = x[:, : high * kh, : wide * kw]
        windows = x.reshape(len(x), high, kh, wide, kw, -1)
        return windows.amax(dim=(2, 4)).permute(0, 3, 1, 2)
