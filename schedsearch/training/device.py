"""Which device: CUDA when it is there, never required."""

import torch

from schedsearch.errors import DeviceError


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of a name; "auto" is CUDA when present, else the CPU.

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
