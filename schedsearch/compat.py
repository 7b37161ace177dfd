"""Every private or undocumented piece of Optuna, optuna-dashboard and torch that is used.

Each is one short function, with a test that fails when the piece changes (tests/project/
test_compat.py), so that an upgrade is a reading of this file, and of store/tables.py, which holds
the tables of Optuna's databases. The packages are imported where they are used, because everything
imports this module.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.study import Study
    from optuna.study._frozen import FrozenStudy
    from optuna.trial import BaseTrial, FrozenTrial
    from torch import nn
    from torch.optim import Optimizer

F = TypeVar("F", bound=Callable[..., Any])

# --- Optuna: studies, trials and storages ------------------------------------------------------

NOT_FOUND = "Record does not exist."
"""What Optuna says of a study or a trial that is not in the storage."""

FIXED_PARAMS = "fixed_params"
"""The system attribute with the parameters that a trial was enqueued with."""


def storage_of(study: "Study") -> "BaseStorage":
    """Return the storage that a study reads and writes, with Optuna's cache in front of it."""
    return study._storage


def study_id_of(study: "Study | FrozenStudy") -> int:
    """Return the id of a study in its storage."""
    return study._study_id


def trial_id_of(trial: "BaseTrial | FrozenTrial") -> int:
    """Return the id of a trial in its storage."""
    return cast("FrozenTrial", trial)._trial_id


def database_of(storage: "BaseStorage") -> "RDBStorage | None":
    """Return the database behind a storage, without Optuna's cache; None: there is none."""
    from optuna.storages import RDBStorage

    backend = getattr(storage, "_backend", storage)
    return backend if isinstance(backend, RDBStorage) else None


def is_gone(error: Exception) -> bool:
    """Return whether an error says that a study or a trial is no longer in the storage."""
    return isinstance(error, KeyError) and NOT_FOUND in str(error)


# --- optuna-dashboard: figures, notes and files of a study's pages -------------------------------

OF_DASHBOARD = ("dashboard:", "artifacts:")
"""How the attributes begin that optuna-dashboard keeps with a study."""

_PIECE = 10_000  # characters: under 64 kB, also where JSON writes six for one


def figure_prefix(figure: str) -> str:
    """Return how the attributes of a figure begin."""
    return f"dashboard:plot_data:{figure}:"


def note_prefix(trial_id: int | None) -> str:
    """Return how the attributes of a note begin; None: the note on the study itself."""
    return "dashboard:note_" if trial_id is None else f"dashboard:{trial_id}:note_"


def file_key(trial_id: int, file_id: str) -> str:
    """Return the attribute of a study that describes a file of one of its trials.

    The dashboard looks there too: no attribute of a trial that has finished can be written.
    """
    return f"dashboard:artifacts:{trial_id}:{file_id}"


def described_file(file_id: str, name: str, mimetype: str) -> str:
    """Return what describes a file, which lies under its id in the artifact store."""
    about = {"artifact_id": file_id, "filename": name, "mimetype": mimetype, "encoding": None}
    return json.dumps(about)


def emptied(key: str) -> Any:
    """Return what the dashboard writes into an attribute of which nothing is to be shown."""
    if key.startswith(("dashboard:artifacts:", "artifacts:")):
        return "null"
    return 0 if key.endswith("note_ver") else ""


def write_figure(attrs: dict[str, Any], figure: str, content: str) -> None:
    """Write a figure, as plotly's JSON, into the attributes of a study."""
    from optuna_dashboard import save_plotly_graph_object

    page: Any = _Page(attrs, None)
    save_plotly_graph_object(page, cast("Any", _Json(content)), graph_object_id=figure)
    _join(attrs, figure_prefix(figure))


def write_note(attrs: dict[str, Any], trial_id: int | None, body: str) -> None:
    """Write a note on a study, or on one of its trials, into the attributes of the study."""
    from optuna_dashboard import save_note

    page: Any = _Page(attrs, trial_id)
    save_note(page, body)
    _join(attrs, f"{note_prefix(trial_id)}str:")


def read_note(attrs: dict[str, Any], trial_id: int | None) -> str:
    """Return the note on a study, or on one of its trials; empty where there is none."""
    from optuna_dashboard import get_note

    page: Any = _Page(attrs, trial_id)
    return str(get_note(page))


def _join(attrs: dict[str, Any], prefix: str) -> None:
    """Join the pieces of 2 kB that the dashboard writes: fewer rows are read sooner."""
    pieces = [name for name in attrs if name.startswith(prefix)]
    whole = "".join(attrs.pop(f"{prefix}{i}") for i in range(len(pieces)))
    for i, first in enumerate(range(0, len(whole), _PIECE)):
        attrs[f"{prefix}{i}"] = whole[first : first + _PIECE]


class _Page:
    """What optuna-dashboard asks of a study, a trial and their storage: it writes into attributes.

    The dashboard itself takes a transaction for each piece of 2 kB; a reader in between would see
    half a figure.
    """

    def __init__(self, attrs: dict[str, Any], trial_id: int | None) -> None:
        self._attrs = attrs
        self._storage = self.storage = self.study = self
        self._study_id = 0
        self._trial_id = trial_id

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._attrs[key] = value


@dataclass(frozen=True)
class _Json:
    """A figure that is JSON already."""

    text: str

    def to_json(self) -> str:
        return self.text


# --- torch --------------------------------------------------------------------------------------


def seed_cpu(seed: int) -> None:
    """Seed the random numbers of the CPU alone; `torch.manual_seed` would seed every device."""
    import torch

    torch.default_generator.manual_seed(seed)


def is_convolution(module: "nn.Module") -> bool:
    """Return whether a module is one of torch's convolutions, of any dimension."""
    from torch import nn

    return isinstance(module, nn.modules.conv._ConvNd)


def bare_step(optimizer: "Optimizer") -> "Callable[[Optimizer], object]":
    """Return an optimizer's step without torch's hooks, which would break a compiled step up."""
    import inspect

    step: Callable[[Optimizer], object] = inspect.unwrap(type(optimizer).step)
    return step


def with_own_code(function: F) -> F:
    """Return a copy of a function that torch.compile counts by itself.

    torch compiles one code object 8 times at most, and then runs it uncompiled.
    """
    known: Any = function
    copy: F = type(known)(known.__code__.replace(), known.__globals__)
    return copy


def turn_into(module: "nn.Module", layer: "type[nn.Module]") -> None:
    """Make a module one of a subclass of its class, which only computes in another way."""
    module.__class__ = layer


def quiet_vmap() -> None:
    """Let vmap not warn of each operation that it does one by one: whether it pays is measured."""
    import torch

    functorch: Any = torch._C._functorch
    functorch._set_vmap_fallback_warning_enabled(False)


def cpu_compile_options(*, trusting: bool) -> "dict[str, Any]":
    """Return torch.compile's options for a step on the CPU.

    The whole step is one C++ function, in which Python's lock is free for other threads, and the
    shapes of tensors are all that is guarded: nothing else changes. With `trusting`, the compiler
    is taken to know all vector instructions that the processor reports; the test programs that
    torch would compile otherwise take longer than the step itself.
    """
    import torch

    options: dict[str, Any] = {
        "cpp_wrapper": True,
        "guard_filter_fn": torch.compiler.keep_tensor_guards_unsafe,
    }
    return options | ({"cpp.vec_isa_ok": True} if trusting else {})


def forget_vector_instructions() -> None:
    """Let torch find out anew which vector instructions its compiler knows."""
    from torch._inductor import cpu_vec_isa

    cpu_vec_isa.valid_vec_isa_list.cache_clear()
