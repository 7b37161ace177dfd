"""StudyConfig: a study file, checked. Names are resolved later, against the registries."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from schedsearch.errors import ConfigError, unknown

Range = tuple[float, float]
Count = Annotated[int, Field(ge=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Training(_Table):
    """[training]: how each trial is trained."""

    total_steps: Count = 600
    """The horizon: optimizer steps of one run."""
    batch_size: Count = 64
    optimizer: str = "SGD"
    """Any class of torch.optim, or `"package.module:Class"`."""
    optimizer_args: dict[str, Any] | None = None
    """Its arguments but for lr (default: momentum 0.9 for SGD, torch's defaults for the rest)."""
    evals_per_run: Count = 20
    """Evaluations on the validation split, evenly spread, whatever the horizon."""
    step_unit: Literal["step", "epoch"] = "step"
    """When the scheduler steps."""
    diverge_factor: Annotated[float, Field(gt=1)] = 3.0
    """A validation loss so many times that of the untrained model ends a run as diverged."""
    precision: Literal["full", "bf16"] = "full"
    """bf16: matrix products and convolutions in bfloat16 (torch's autocast)."""
    engine: Literal["reference", "fused", "auto"] = "auto"
    """One run at a time, many at once, or whichever is measured to be faster here."""
    stack: Annotated[int, Field(ge=0)] = 0
    """How many runs the fused engine trains at once; 0: measured."""
    threads: Annotated[int, Field(ge=0)] = 0
    """Threads on the CPU; 0: measured."""

    @property
    def optimizer_arguments(self) -> dict[str, Any]:
        """The optimizer's arguments, with the default for SGD."""
        if self.optimizer_args is None:
            return {"momentum": 0.9} if self.optimizer == "SGD" else {}
        return dict(self.optimizer_args)


class SpaceTable(_Table):
    """[space]: what all families share."""

    base_lr: Range | Literal["auto"] = (0.003, 0.3)
    """The peak rates searched, on a logarithmic scale; "auto": two decades by a range test."""
    warmup: Literal["none", "optional", "always"] = "optional"
    """A linear warm-up in front of families that don't rise by themselves."""
    warmup_frac: Range = (0.02, 0.1)
    """Its length, as a fraction of the run."""
    warmup_start_factor: Annotated[float, Field(gt=0, le=1)] = 0.01
    """Its first rate, as a fraction of the body's first."""

    @field_validator("base_lr", mode="wrap")
    @classmethod
    def _range_or_auto(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        if isinstance(value, str) and value != "auto":
            raise ValueError("it is [low, high], one number, or 'auto'")
        return value if value == "auto" else check(cls._tuple(value))

    @field_validator("warmup_frac", mode="before")
    @classmethod
    def _tuple(cls, value: Any) -> Any:
        """TOML knows arrays, and whole numbers; a single number fixes the parameter."""
        numbers = value if isinstance(value, list | tuple) else (value, value)
        return tuple(float(n) if type(n) is int else n for n in numbers)


class Search(_Table):
    """[search]: how Optuna samples."""

    objective: Literal["val_loss", "val_accuracy"] = "val_loss"
    """The final value that is minimized (val_loss) or maximized (val_accuracy)."""
    sampler: str = "TPE"
    sampler_args: dict[str, Any] = {}
    pruner: str = "none"
    """"none", or any pruner of Optuna by name; its resource is the elapsed steps."""
    pruner_args: dict[str, Any] = {}
    batch: Annotated[int, Field(ge=0)] = 0
    """Trials asked at once: it decides what is sampled, never how fast. 0: by the total.

    In rank mode they are divided over the families.
    """
    history: Annotated[int, Field(ge=0)] = 250
    """The most finished trials that TPE learns from: the best, and some of the rest; 0: all."""


FidelityKind = Literal["full", "squeeze", "truncate", "auto"]
LEAST_CHECKS, PILOT = 8, 16  # schedules by which kind = "auto" chooses: at least, by default


class Fidelity(_Table):
    """[fidelity]: at which horizons a schedule is tried before the full one."""

    kind: FidelityKind = "squeeze"
    """"squeeze": the schedule of a shorter horizon; "truncate": the first steps of the full one;
    "auto": whichever ranks better in a pilot, or neither; "full": neither, the default beside a
    pruner."""
    rungs: int | tuple[int, ...] = 3
    """How many horizons, in equal ratios up to the full one; or a list of them, in steps."""
    eta: Annotated[int, Field(ge=2)] = 4
    """One in so many goes on to the next rung."""
    min_steps: Count = 100
    """No rung is shorter: it would say too little."""
    checks: Annotated[int, Field(ge=0, le=1000)] | None = Field(
        default_factory=lambda known: PILOT if known.get("kind") == "auto" else None
    )
    """Random schedules trained at every rung, to see how well the rungs rank; 0: none (default: as
    many as a quarter of the search's steps pays for). With kind = "auto" they are the pilot
    (default: 16)."""

    @field_validator("rungs", mode="before")
    @classmethod
    def _rungs(cls, value: Any) -> Any:
        """TOML knows arrays."""
        each = value if isinstance(value, list | tuple) else [value]
        if not each or any(type(n) is not int or n < 1 for n in each):
            raise ValueError("it is a number of rungs, or a list of horizons in steps")
        return tuple(value) if isinstance(value, list) else value

    @field_validator("checks")
    @classmethod
    def _pilot(cls, value: int | None, known: ValidationInfo) -> int | None:
        if known.data.get("kind") == "auto" and (value or 0) < LEAST_CHECKS:
            raise ValueError(f"kind = 'auto' needs at least {LEAST_CHECKS} to choose by")
        return value


class Confirmation(_Table):
    """[confirmation]: the best of the search, trained again on fresh seeds."""

    finalists: Annotated[int, Field(ge=1, le=50)] = 4
    """The best so many of the search, beside two references, tuned; rank mode: of each family."""
    seeds: Annotated[int, Field(ge=0, le=1000)] = 8
    """Fresh seeds, the same for all; 0: nothing is confirmed, and best.json says so."""
    test: Literal["welch", "paired", "wilcoxon"] = "welch"
    """How the winner is tested; "paired" has more power where seeds do to all the same."""


class StudyConfig(_Table):
    """A study file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The run's name, and its folder's."""
    task: str
    model: str | None = None
    """One of the task's models (default: its first)."""
    data: str | None = None
    """The folder of the data (default: SCHEDSEARCH_DATA, or ./data)."""
    families: str | tuple[str, ...] = "default"
    """"default", "all", or a list of names."""
    mode: Literal["search", "rank"] = "search"
    """"search": trials sample the family; "rank": equally many for each, in a study of its own."""
    trials: Count = 60
    """The run's total of finished trials."""
    seed: Annotated[int, Field(ge=0)] = 0
    training: Training = Training()
    space: SpaceTable = SpaceTable()
    ranges: dict[str, dict[str, Any]] = {}
    """[ranges.FAMILY]: parameter = [low, high], one value, or the choices."""
    search: Search = Search()
    fidelity: Fidelity = Fidelity()
    confirmation: Confirmation = Confirmation()

    @model_validator(mode="before")
    @classmethod
    def _one_pruner(cls, data: Any) -> Any:
        """Leave the pruning to a pruner that is asked for, where nothing is said of rungs."""
        search, fidelity = data.get("search"), data.get("fidelity", {})
        named = isinstance(search, dict) and search.get("pruner", "none") != "none"
        if named and isinstance(fidelity, dict) and "kind" not in fidelity:
            return data | {"fidelity": fidelity | {"kind": "full"}}
        return data

    @field_validator("families", mode="before")
    @classmethod
    def _families(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if value.startswith(".") or any(c in "/\\" or not c.isprintable() for c in value):
            raise ValueError("it names a folder: no slash, no leading dot, printable characters")
        return value

    @property
    def batch(self) -> int:
        """The trials asked at once: a small part of the total, where the study names none.

        >>> [StudyConfig(name="a", task="b", trials=n).batch for n in (60, 256, 1000)]
        [8, 32, 64]
        """
        return self.search.batch or min(64, max(8, self.trials // 8))

    def identity(self) -> dict[str, Any]:
        """Return, by dotted name, what may not change while a run goes on."""
        training = self.training.model_dump(
            exclude={"engine", "stack", "threads", "optimizer_args"}
        )
        flat: dict[str, Any] = {
            "task": self.task,
            "model": self.model,
            "seed": self.seed,
            "search.objective": self.search.objective,
            "training.optimizer_args": self.training.optimizer_arguments,
        }
        if training["precision"] == "full":  # as in runs made before there was a choice
            del training["precision"]
        if self.mode != "search":
            flat["mode"] = self.mode
        return flat | {f"training.{key}": value for key, value in training.items()}


def load_config(path: Path) -> StudyConfig:
    """Read a study file.

    Raises:
        ConfigError: no such file, no TOML, an unknown key (the nearest is named), a bad value.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the study file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    return parse_config({"name": path.stem, **data}, str(path))


def parse_config(
    data: dict[str, Any], where: str = "config", *, stored: bool = False
) -> StudyConfig:
    """Check a study file's content, or what was stored of one as JSON.

    Raises:
        ConfigError: one line with the path of the first key that is wrong.

    >>> parse_config({"name": "a", "task": "digits"}).training.total_steps
    600
    """
    try:
        return StudyConfig.model_validate(data, strict=False if stored else None)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_worded(error)}") from error


_UNION_PARTS = ("str", "tuple[str, ...]", "tuple[float, float]")  # no keys of a study file


def _worded(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [_plain(part) for part in first["loc"] if part not in _UNION_PARTS]
    if first["type"] == "extra_forbidden":
        *table, key = path
        return unknown("key", key, _keys(table), prefix="".join(f"{t}." for t in table))
    if first["type"] == "missing":
        return f"the key {'.'.join(path)!r} is missing"
    reason = first["msg"].removeprefix("Value error, ")
    return f"{'.'.join(path)} = {first['input']!r} is not allowed: {reason[0].lower()}{reason[1:]}"


def _keys(table: Sequence[str]) -> list[str]:
    model: Any = StudyConfig
    for name in table:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _plain(part: str | int) -> str:
    return str(part).encode("unicode_escape").decode()
