"""Which device, and how many threads of the CPU."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from schedsearch.errors import DeviceError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" is CUDA where there is one, otherwise the CPU.

    Raises:
        DeviceError: a device that this machine does not have.

    >>> pick_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    here = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        here.append("mps")
    if name == "cuda" and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if name not in here:
        raise DeviceError(f"device {name!r} is not here (allowed: {', '.join(['auto', *here])})")
    return torch.device(name)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use this number of intra-op threads on the CPU; 0 leaves torch's own choice."""
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def thread_counts(device: torch.device) -> tuple[int, ...]:
    """Return the numbers of intra-op threads worth trying on a device: one, and all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (1,) if device.type != "cpu" or not cores or cores == 1 else (1, cores)


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was asked to do, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
