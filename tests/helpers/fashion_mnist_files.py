"""The real Fashion-MNIST files, where this machine has them."""

import os
from pathlib import Path

import pytest

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def real_folder(factory: pytest.TempPathFactory) -> Path:
    """Return a folder to load from; skip where there is nothing to load."""
    if "SCHEDSEARCH_DATA" in os.environ:
        return Path(os.environ["SCHEDSEARCH_DATA"])
    if not DEBIAN.exists():
        pytest.skip("no Fashion-MNIST here: set SCHEDSEARCH_DATA, or install Debian's package")
    return factory.mktemp("data")
