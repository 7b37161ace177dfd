"""StudyConfig: a study file, checked. Names are resolved later, against the registries."""

import codecs
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from schedsearch.config_horizon import Count, Table
from schedsearch.config_own import (
    OF_OWN_TRAINING,
    identity_of_own,
    name_of_command,
    refuse_unfit,
)
from schedsearch.config_space import SpaceTable
from schedsearch.config_tables import Confirmation, Fidelity, FidelityKind, Search, Training
from schedsearch.errors import ConfigError, unknown

__all__ = [
    "Confirmation",
    "Fidelity",
    "FidelityKind",
    "Search",
    "SpaceTable",
    "StudyConfig",
    "Training",
    "load_config",
    "parse_config",
]


class StudyConfig(Table):
    """A study file."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    """The run's name, and its folder's; left out: the study file's name.

    To run one study file twice, side by side (or `--name`).
    """
    task: str = ""
    """What is trained: `schedsearch tasks` lists the ready ones; yours is `"package.module:TASK"`;
    left out: a trainer of your own trains.

    Always, unless there is `command` or `trainer`.
    """
    command: tuple[str, ...] = ()
    """The words of a command that trains, with {schedule}, {total_steps} and {seed}
    ([your own trainer](#your-own-trainer)); left out: a task is trained.

    To search with a training script of your own, in any language.
    """
    trainer: str = ""
    """A function that trains, as `"package.module:FUNCTION"`; left out: a task is trained.

    To search with a training function of your own.
    """
    model: str | None = None
    """One of the task's models; left out: its first.

    If the task has several.
    """
    metrics: dict[str, Literal["minimize", "maximize"]] = Field(default={})
    """[metrics]: what a trainer of your own reports beside the loss, name = "minimize" or
    "maximize".

    With `command` or `trainer`; a task names its metrics itself.
    """
    target: tuple[str, float] | None = None
    """A value that a trainer of your own is to reach, such as ["val_accuracy", 0.96]; left out:
    none.

    With `command` or `trainer`, to see after how many steps each schedule reaches it.
    """
    data: str | None = None
    """The folder of the data; left out: SCHEDSEARCH_DATA, or ./data.

    If the data lie elsewhere.
    """
    families: str | tuple[str, ...] = "default"
    """The families searched: "default", "all", or a list of names.

    To leave out what you could not use, or to add one of your own.
    """
    mode: Literal["search", "rank"] = "search"
    """"search": the best schedule, whatever its family; "rank": as many trials for each family, in
    an Optuna study of its own, to compare families.

    "rank" if the question is which family, not which schedule.
    """
    trials: Count = 60
    """The run's total of finished trials.

    Always: ten or more for each family. Raising it later goes on with the run.
    """
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides what is sampled, and the weights and batches of every training.

    To repeat a whole study independently.
    """
    training: Training = Training()
    space: SpaceTable = SpaceTable()
    ranges: dict[str, dict[str, Any]] = Field(default={})
    """[ranges.FAMILY]: parameter = [low, high], one fixed value, or a list of choices.

    To narrow or widen what one family searches; `schedsearch families` lists the parameters.
    """
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

    @model_validator(mode="after")
    def _fit(self) -> Self:
        refuse_unfit(self)
        return self

    @field_validator("families", "command", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("target", mode="before")
    @classmethod
    def _pair(cls, value: Any) -> Any:
        """TOML knows arrays, and whole numbers."""
        if not isinstance(value, list | tuple):
            return value
        return tuple(float(each) if type(each) is int else each for each in value)

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

    def counted(self, steps_per_epoch: float) -> "StudyConfig":
        """Return the study with total_steps that follows from its epochs, where it has them."""
        return self.model_copy(update={"training": self.training.counted(steps_per_epoch)})

    @property
    def is_own(self) -> bool:
        """Whether a trainer of the user's own trains."""
        return not self.task

    @property
    def trains(self) -> str:
        """What is trained, in a word: the task, or what trains it."""
        return self.task or self.trainer or name_of_command(self.command)

    def identity(self) -> dict[str, Any]:
        """Return, by dotted name, what may not change while a run goes on."""
        if self.is_own:
            return identity_of_own(self)
        training = self.training.model_dump(
            exclude={"engine", "stack", "threads", "optimizer_args", "epochs", *OF_OWN_TRAINING}
        )
        flat: dict[str, Any] = {
            "task": self.task,
            "model": self.model,
            "seed": self.seed,
            "search.objective": self.search.objective,
            "training.optimizer_args": self.training.optimizer_arguments,
        }
        if self.mode != "search":
            flat["mode"] = self.mode
        return flat | {f"training.{key}": value for key, value in training.items()}


def load_config(path: Path) -> StudyConfig:
    """Read a study file.

    Raises:
        ConfigError: no such file, no TOML, an unknown key (the nearest is named), a bad value.
    """
    return parse_config(read_study(path), str(path))


def read_study(path: Path) -> dict[str, Any]:
    """Return the content of a study file, unchecked; one without a name gets the file's.

    Raises:
        ConfigError: no such file, or no TOML.
    """
    try:
        data = tomllib.loads(_decoded(path.read_bytes()))
    except OSError as error:
        raise ConfigError(f"cannot read the study file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}") from error
    return {"name": path.stem, **data}


def _decoded(content: bytes) -> str:
    """Return a file's text: UTF-8, or what a byte order mark in front says, with any line ends."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if wide else "utf-8-sig").replace("\r\n", "\n")


def study_of(
    study: StudyConfig | Mapping[str, Any] | str | Path, given: Mapping[str, Any] | None = None
) -> StudyConfig:
    """Return a study that is given in any way: checked, as a table, or as a file.

    Args:
        study: a study file's path, its content, or that content checked.
        given: keys that take the place of the study's own.

    Raises:
        ConfigError: see `load_config`.

    >>> study_of({"trials": 5}, {"task": "mine"}).name, study_of({"task": "lib.tasks:T"}).name
    ('mine', 'tasks')
    """
    given = given or {}
    if isinstance(study, StudyConfig):
        return study.model_copy(update=given)
    if isinstance(study, Mapping):
        data = {**study, **given}
        trains = str(data.get("task") or data.get("trainer") or "")
        named = trains.partition(":")[0].rpartition(".")[2]
        data = {"name": named if named.isidentifier() else "study"} | data
        return parse_config(data, "study")
    return parse_config(read_study(Path(study)) | dict(given), str(study))


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
        strict = False if stored else None
        return StudyConfig.model_validate(data, strict=strict, context={"stored": stored})
    except ValidationError as error:
        raise ConfigError(f"{where}: {_worded(error)}") from error


_UNION_PARTS = ("str", "tuple[str, ...]", "tuple[float, float]")  # no keys of a study file


def _worded(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    path = [_plain(part) for part in first["loc"] if part not in _UNION_PARTS]
    if first["type"] == "extra_forbidden":
        *table, key = path
        return unknown("key", key, _keys(table), prefix="".join(f"{t}." for t in table))
    if first["type"] == "missing":
        return f"the key {'.'.join(path)!r} is missing"
    reason = first["msg"].removeprefix("Value error, ")
    if isinstance(first["input"], dict) and first["type"] == "value_error":  # of a whole table
        return f"[{'.'.join(path)}] {reason}"
    return f"{'.'.join(path)} = {first['input']!r} is not allowed: {reason[0].lower()}{reason[1:]}"


def _keys(table: Sequence[str]) -> list[str]:
    model: Any = StudyConfig
    for name in table:
        model = model.model_fields[name].annotation
    return list(model.model_fields)


def _plain(part: str | int) -> str:
    return str(part).encode("unicode_escape").decode()
