"""How it is trained: engines, optimizers, devices. Knows nothing of Optuna."""

from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.device import pick_device
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.reference import DIVERGE_FACTOR, fit, train

__all__ = [
    "DIVERGE_FACTOR",
    "Curve",
    "Evaluation",
    "OptimizerSpec",
    "fit",
    "pick_device",
    "train",
]
