"""cifar10: 60,000 colour pictures of ten things, 32x32 pixels, read by torchvision.

Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from schedsearch.tasks.pictures import picture_splits, read_pictures
from schedsearch.tasks.resnet import ResNet
from schedsearch.tasks.split import Batch
from schedsearch.tasks.task import Data, TaskSource

_VALIDATION = 5_000  # pictures, of the 50,000 for training
_MARGIN = 4  # pixels by which a picture is moved at most (He et al. 2016, section 4.2)


def _read(root: Path) -> Data:
    from torchvision.datasets import CIFAR10  # imported here: it takes a second

    def pictures(train: bool) -> tuple[Tensor, Tensor]:
        found = CIFAR10(str(root), train=train, download=True)
        return torch.from_numpy(found.data).permute(0, 3, 1, 2), torch.tensor(found.targets)

    return picture_splits(pictures(True), pictures(False), _VALIDATION)


def _remedy(root: Path) -> str:
    return (
        f"Put cifar-10-python.tar.gz, or its folder cifar-10-batches-py, into {root}, or say where "
        "it is"
    )


def moved_and_mirrored(batch: Batch) -> Batch:
    """Return the pictures `[B, C, H, W]`, each moved by up to 4 pixels, and every other mirrored.

    What comes in from outside is 0, the mean of a channel.
    """
    images, device = batch.inputs, batch.inputs.device
    count, _, height, width = images.shape
    down, right = torch.randint(2 * _MARGIN + 1, (2, count, 1), device=device)
    rows = down + torch.arange(height, device=device)  # [B, H]
    columns = right + torch.arange(width, device=device)
    mirrored = torch.rand(count, 1, device=device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    around = pad(images, [_MARGIN] * 4).permute(0, 2, 3, 1)
    each = torch.arange(count, device=device)[:, None, None]
    moved = around[each, rows[:, :, None], columns[:, None, :]]  # [B, H, W, C]
    return Batch(moved.permute(0, 3, 1, 2).contiguous(), batch.targets)


CIFAR10 = TaskSource(
    name="cifar10",
    about="60,000 colour pictures, 32x32 (45,000 train, 5,000 validation, 10,000 test), augmented",
    models={
        "resnet": lambda: ResNet(3, 10, widths=(16, 32, 64), blocks=1, stride=2),
        "resnet20": lambda: ResNet(3, 10, widths=(16, 32, 64), blocks=3),
    },
    load=lambda folder: read_pictures(folder, _read, "CIFAR-10", _remedy),
    target=("val_accuracy", 0.7),
    augment=moved_and_mirrored,
)
