"""How it is trained: engines, optimizers, devices. Knows nothing of Optuna."""

from schedsearch.training.candidates import threads
from schedsearch.training.curve import Curve, Evaluation
from schedsearch.training.device import pick_device
from schedsearch.training.engine import REFERENCE, Engine
from schedsearch.training.layout import Waves
from schedsearch.training.optimizers import OptimizerSpec
from schedsearch.training.probe import choose_engine
from schedsearch.training.reference import DIVERGE_FACTOR, fit, train

__all__ = [
    "DIVERGE_FACTOR",
    "REFERENCE",
    "Curve",
    "Engine",
    "Evaluation",
    "OptimizerSpec",
    "Waves",
    "choose_engine",
    "fit",
    "pick_device",
    "threads",
    "train",
]
