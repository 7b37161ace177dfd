"""Factors for LambdaLR and MultiplicativeLR: callable values, so that schedulers can be pickled.

torch's `state_dict` keeps the attributes of a callable object, but drops a lambda.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class InverseSqrt:
    """`sqrt(t / (t + step))`: the slow decay of Transformer training, without its warm-up.

    `t` is `timescale_steps` (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; with a
    timescale as in Zhai et al. 2021, https://arxiv.org/abs/2106.04560).

    >>> InverseSqrt(100)(0), InverseSqrt(100)(300)
    (1.0, 0.5)
    """

    timescale_steps: int

    def __call__(self, step: int) -> float:
        return math.sqrt(self.timescale_steps / (self.timescale_steps + step))


@dataclass(frozen=True)
class Rex:
    """`(1 - z) / (1/2 + (1 - z)/2)` with `z = step / total_steps`: late and steep.

    Chen et al. 2021, https://arxiv.org/abs/2107.04197.

    >>> Rex(100)(0), Rex(100)(50), Rex(100)(100)
    (1.0, 0.6666666666666666, 0.0)
    """

    total_steps: int

    def __call__(self, step: int) -> float:
        left = 1 - min(step / self.total_steps, 1.0)
        return left / (0.5 + 0.5 * left)


@dataclass(frozen=True)
class OneMinusSqrt:
    """`1 - (1 - final_factor) * sqrt(step / decay_steps)`: the cooldown of a WSD schedule.

    Hägele et al. 2024, https://arxiv.org/abs/2405.18392.

    >>> OneMinusSqrt(100, 0.0)(0), OneMinusSqrt(100, 0.0)(25), OneMinusSqrt(100, 0.0)(100)
    (1.0, 0.5, 0.0)
    """

    decay_steps: int
    final_factor: float

    def __call__(self, step: int) -> float:
        done = min(step / self.decay_steps, 1.0)
        return 1 - (1 - self.final_factor) * math.sqrt(done)


@dataclass(frozen=True)
class HoldThenShrink:
    """The factor from one step to the next: 1 for `hold_steps`, then `gamma` at every step.

    >>> [HoldThenShrink(2, 0.5)(step) for step in (1, 2, 3)]
    [1.0, 1.0, 0.5]
    """

    hold_steps: int
    gamma: float

    def __call__(self, step: int) -> float:
        return self.gamma if step > self.hold_steps else 1.0
