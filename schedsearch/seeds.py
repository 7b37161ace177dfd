"""Seeds derived from a study's seed and a purpose, so that no draw depends on what ran before."""

import hashlib


def derive_seed(study_seed: int, *purpose: str | int) -> int:
    """Return a seed in [0, 2**31) that only the study's seed and the purpose decide.

    >>> derive_seed(0, "weights") == derive_seed(0, "weights")
    True
    >>> derive_seed(0, "weights") != derive_seed(0, "batches") != derive_seed(1, "batches")
    True
    """
    text = repr((study_seed, *purpose)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1
