"""Tables of a study file: [training], [search], [fidelity], [confirmation].

The docstring of a key is its reference: what it means, then, after an empty line, when to touch it.
`studies/README.md` is generated from these docstrings.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
)

from schedsearch.config_horizon import Count, Table
from schedsearch.config_own import OwnTraining
from schedsearch.horizon import MOST_EPOCHS


class Training(OwnTraining):
    """[training]: how each schedule is trained."""

    batch_size: Count = 64
    """Rows of a training batch; the rest of an epoch that fills no batch is left out.

    To match your own training: a small batch makes schedules matter more.
    """
    optimizer: str = "SGD"
    """A class of torch.optim, or one of your own as `"package.module:Class"`.

    To match your own training.
    """
    optimizer_args: dict[str, Any] | None = None
    """The optimizer's arguments, without lr; left out: momentum 0.9 for SGD, torch's defaults
    for the rest.

    To match your own training, weight decay above all.
    """
    rest_optimizer: str | None = None
    """A second optimizer, for all parameters that are no matrices: a class of torch.optim.

    With `optimizer = "Muon"`, which takes matrices only: "AdamW".
    """
    rest_optimizer_args: dict[str, Any] = Field(default={})
    """The arguments of rest_optimizer, without lr.

    With rest_optimizer.
    """
    rest_lr_factor: Annotated[float, Field(gt=0)] = 1.0
    """The rate of rest_optimizer, as a multiple of the schedule's.

    With rest_optimizer: 1.0 for Muon with adjust_lr_fn = "match_rms_adamw".
    """
    evals_per_run: Count = 20
    """Evaluations on the validation split in one training, evenly spread, at every horizon.

    More for smoother curves, or for schedules that react to a metric; fewer if validating is slow.
    """
    step_unit: Literal["step", "epoch"] = "step"
    """When the scheduler steps: after each optimizer step, or after each epoch.

    "epoch" if your own training loop steps its scheduler once per epoch.
    """
    diverge_factor: Annotated[float, Field(gt=1)] = 3.0
    """A training ends as diverged when a loss is not finite, or when its mean training loss lies,
    in three evaluations in a row, above a limit: the untrained model's training loss, and
    (diverge_factor - 1) times its size, which is measured on that model for a loss of any sign.

    Higher if good trainings of your task begin with a peak in the loss.
    """
    clip_norm: Annotated[float, Field(ge=0)] = 0.0
    """The largest norm of the gradient of all parameters together; 0: no limit.

    To match your own training (transformers, recurrent models: often 1.0).
    """
    accumulate: Count = 1
    """Batches whose gradients are averaged for one optimizer step.

    To match your own training, if a batch of it does not fit into memory.
    """
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Label smoothing of the loss that is trained, for tasks whose loss is torch's cross_entropy;
    the validation loss stays as it is.

    To match your own training.
    """
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The decay of an exponential moving average of the weights, evaluated beside the weights
    themselves; 0: no average.

    To match your own training (0.99 to 0.9999).
    """
    precision: Literal["full", "bf16"] = "full"
    """"bf16": matrix products and convolutions in bfloat16 (torch's autocast).

    On hardware with fast bfloat16, if your own training uses it.
    """
    engine: str = "auto"
    """How schedules are trained: "reference" (one at a time), "fused" (many at once), or "auto"
    (whichever is measured to be faster here).

    Rarely: "reference" to rule out the fused engine when a result looks odd.
    """
    stack: Annotated[int, Field(ge=0)] = 0
    """How many trainings the fused engine runs at once; 0: measured.

    Only to bound memory.
    """
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads on the CPU; 0: measured.

    On a machine that other work shares.
    """

    @property
    def optimizer_arguments(self) -> dict[str, Any]:
        """The optimizer's arguments, with the default for SGD."""
        if self.optimizer_args is None:
            return {"momentum": 0.9} if self.optimizer == "SGD" else {}
        return dict(self.optimizer_args)


class Search(Table):
    """[search]: how Optuna samples."""

    objective: str = "val_loss"
    """The final value that is compared: "val_loss", or "val_" and the name of one of the task's
    metrics, such as "val_accuracy"; with `ema`, also "ema_val_loss" and the like.

    If the metric that you report is another than the loss, and the two disagree.
    """
    sampler: str = "TPE"
    """"TPE", "random", "QMC", "GP" or "CMA-ES": Optuna's samplers.

    "random" for a baseline; GP and CMA-ES learn from trials at the full horizon only.
    """
    sampler_args: dict[str, Any] = Field(default={})
    """Arguments of Optuna's sampler class.

    If you know that class.
    """
    pruner: str = "none"
    """"none", or a pruner of Optuna's by class name; its resource is the elapsed steps.

    Rarely: rungs find more with the same steps, and a pruner replaces them.
    """
    pruner_args: dict[str, Any] = Field(default={})
    """Arguments of Optuna's pruner class.

    With pruner.
    """
    batch: Annotated[int, Field(ge=0)] = 0
    """Trials sampled before the next results are read; 0: by the total (8 to 64). In rank mode they
    are divided over the families.

    Rarely: it decides what is sampled, never how fast it is trained.
    """
    history: Annotated[int, Field(ge=0)] = 250
    """The most finished trials that TPE learns from: the best, and an even part of the rest;
    0: all.

    With thousands of trials, for faster sampling or for a finer one.
    """


FidelityKind = Literal["full", "squeeze", "truncate", "auto"]
LEAST_CHECKS, PILOT = 8, 16  # schedules by which kind = "auto" chooses: at least, by default


class Fidelity(Table):
    """[fidelity]: at which horizons a schedule is tried before the full one."""

    kind: FidelityKind = "squeeze"
    """"squeeze": first the schedule of a shorter horizon; "truncate": first a part of the full
    schedule; "full": always the whole training, the default beside a pruner; "auto": a pilot
    chooses.

    "auto" or "full" for a task that overfits: there, short trainings may rank schedules wrongly.
    """
    rungs: int | tuple[int | float, ...] = 3
    """How many horizons, in equal ratios up to the full one; or the list of horizons: in steps, or
    in epochs where training.epochs is given.

    Fewer if the report warns that a rung does not rank.
    """
    eta: Annotated[int, Field(ge=2)] = 4
    """One of eta schedules goes on to the next rung.

    Lower (2 or 3) for a more cautious search that costs more steps.
    """
    min_steps: Count = 100
    """No rung is shorter than this.

    Higher if a hundred steps of your task say nothing yet.
    """
    checks: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default_factory=lambda known: PILOT if known.get("kind") == "auto" else None
    )
    """Random schedules trained at every rung, to measure how well the rungs rank; 0: none; left
    out: as many as a quarter of the search's steps pays for, and 16 with kind = "auto", where they
    are the pilot.

    More for narrower intervals of the rank correlations.
    """

    @field_validator("rungs", mode="before")
    @classmethod
    def _rungs(cls, value: Any) -> Any:
        """TOML knows arrays."""
        each = value if isinstance(value, list | tuple) else [value]
        kinds = (int, float) if each is value else (int,)
        if not each or not all(type(n) in kinds and 0 < n <= MOST_EPOCHS for n in each):
            raise ValueError("it is a number of rungs, or a list of horizons in steps or epochs")
        return tuple(value) if isinstance(value, list) else value

    @field_validator("checks")
    @classmethod
    def _pilot(cls, value: int | None, known: ValidationInfo) -> int | None:
        if known.data.get("kind") == "auto" and (value or 0) < LEAST_CHECKS:
            raise ValueError(f"kind = 'auto' needs at least {LEAST_CHECKS} to choose by")
        return value


class Confirmation(Table):
    """[confirmation]: the best of the search, trained again on fresh seeds."""

    finalists: Annotated[int, Field(ge=1, le=50)] = 4
    """How many of the best schedules are confirmed, beside two tuned baselines; in rank mode the
    best of each family is.

    More if the leaders of the search are close to each other.
    """
    seeds: Annotated[int, Field(ge=0, le=1000)] = 8
    """Fresh seeds, the same for all; 0: nothing is confirmed, and best.json says so.

    More to tell close schedules apart; `schedsearch confirm RUN --seeds 16` adds them later.
    """
    test: str = "welch"
    """The test of the winner against the others: "welch", "paired" or "wilcoxon".

    "paired" where common seeds save variance (the screen says how much).
    """
