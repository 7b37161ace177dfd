"""ResNet: a small residual network with BatchNorm, for small pictures.

He et al. 2016, https://arxiv.org/abs/1512.03385, section 4.2 (their networks for CIFAR-10).
"""

from itertools import pairwise

from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions with BatchNorm, and a path around them.

    The path is the identity, or a 1x1 convolution where the shape changes.
    """

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.around: nn.Module = nn.Identity()
        if stride != 1 or channels != width:
            self.around = nn.Sequential(
                nn.Conv2d(channels, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Map `[B, channels, H, W]` to `[B, width, H / stride, W / stride]`."""
        after: Tensor = (self.body(images) + self.around(images)).relu()
        return after


class ResNet(nn.Module):
    """A first convolution, blocks in stages that halve the picture, the mean over it, and a layer.

    Args:
        channels: of the pictures: 1 for grey, 3 for colours.
        classes: the number of classes.
        widths: channels of each stage; from the second on, a stage begins with stride 2.
        blocks: blocks of each stage: with three stages there are 6 * blocks + 2 layers.
        stride: of the first convolution; 2 takes a quarter of the time.

    >>> sum(p.numel() for p in ResNet(3, 10, widths=(16, 32, 64), blocks=3).parameters())
    272474
    """

    def __init__(
        self, channels: int, classes: int, widths: tuple[int, ...], blocks: int, stride: int = 1
    ) -> None:
        super().__init__()
        first = widths[0]
        layers: list[nn.Module] = [
            nn.Conv2d(channels, first, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
        ]
        for stage, (before, width) in enumerate(pairwise((first, *widths))):
            layers.append(Block(before, width, 1 if stage == 0 else 2))
            layers.extend(Block(width, width, 1) for _ in range(blocks - 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, channels, H, W]` to logits `[B, classes]`."""
        logits: Tensor = self.classifier(self.features(images).mean(dim=(2, 3)))
        return logits
