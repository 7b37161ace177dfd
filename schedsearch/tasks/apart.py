"""Random numbers of its own for what is done beside a study."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from schedsearch.tasks.task import seeded


@contextmanager
def apart(device: torch.device, seed: int = 0) -> Iterator[None]:
    """Seed the random numbers of torch, NumPy and Python; restore their states afterwards."""
    python, state = random.getstate(), np.random.get_state()  # what users draw from
    try:
        random.seed(seed)
        np.random.seed(seed)
        with seeded(seed, device):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(state)
