"""The small models of the built-in tasks: they have no buffers and draw no random numbers."""

from torch import Tensor, nn


def mlp(inputs: int, hidden: int, classes: int) -> nn.Module:
    """Return a perceptron with two hidden layers.

    >>> sum(p.numel() for p in mlp(64, 64, 10).parameters())
    8970
    """
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, classes),
    )


class Cnn(nn.Module):
    """Two 3x3 convolutions (16, 32 channels), each followed by 2x2 max pooling, and a linear layer.

    >>> sum(p.numel() for p in Cnn(8, 10).parameters())
    6090
    """

    def __init__(self, side: int, classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Linear(32 * (side // 4) ** 2, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map images `[B, 1, side, side]` to logits `[B, classes]`."""
        logits: Tensor = self.classifier(self.features(images).flatten(1))
        return logits
