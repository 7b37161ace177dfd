"""Convolutions as products and poolings as maxima give what torch's own layers give."""

import itertools
import warnings

import pytest
import torch
from torch import Tensor, nn

from schedsearch.training.fused.conv_products import as_products

CONVOLUTIONS = [
    (kernel, stride, padding, dilation, bias)
    for kernel, stride, padding, dilation, bias in itertools.product(
        (1, 3, (2, 3)), (1, 2, (2, 1)), (0, 1, (1, 2), "same", "valid"), (1, 2), (True, False)
    )
    if not (padding == "same" and stride != 1)
]


def gradients(layer: nn.Module, x: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    out = layer(x)
    weights = torch.arange(out.numel(), dtype=out.dtype).reshape(out.shape)
    return [out, *torch.autograd.grad((out * weights).sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation", "bias"), CONVOLUTIONS)
def test_a_convolution_and_its_gradients(
    kernel: int, stride: int, padding: int, dilation: int, bias: bool
) -> None:
    layer = nn.Conv2d(3, 5, kernel, stride, padding, dilation, bias=bias).double()
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    written = as_products(layer)
    assert type(written) is not nn.Conv2d
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch copies for 'same' with even kernels
        want = gradients(layer, x)
    for got, expected in zip(gradients(written, x), want, strict=True):
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("kernel", [2, 3, (2, 3), 1])
def test_a_pooling_and_its_gradient(kernel: int) -> None:
    layer = nn.MaxPool2d(kernel)
    x = torch.randn(2, 3, 9, 8, dtype=torch.float64)
    x[0, 0, 0, 0] = float("nan")
    written = as_products(layer)
    assert type(written) is not nn.MaxPool2d
    (got, gradient), (want, expected) = gradients(written, x), gradients(layer, x)
    torch.testing.assert_close(got, want, equal_nan=True)
    # which of a window's inputs a NaN's gradient goes to does not matter: the job has diverged
    torch.testing.assert_close(gradient[:, 1:], expected[:, 1:])


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(4, 4, 3, groups=2),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.MaxPool2d(3, stride=2),
        nn.MaxPool2d(2, padding=1),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.Linear(4, 4),
    ],
    ids=str,
)
def test_other_layers_stay_as_they_are(layer: nn.Module) -> None:
    assert type(as_products(layer)) is type(layer)
    assert as_products(layer) is not layer
