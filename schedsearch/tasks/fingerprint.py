"""Fingerprints of functions, classes and modules of a user's own, by what they say.

What comes with Python, or is installed, counts by its name. Of a user's module a function brings
along the functions and classes that it names, and the constants in capitals that are numbers.
"""

import functools
import hashlib
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from torch import Tensor, nn

from schedsearch.tasks.syntax import said_by

_LIBRARIES = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")
)
_OURS = __name__.partition(".")[0]
_SMALL = 1000  # numbers of a tensor that count one by one
_DEEPEST = 12


def name_of(thing: object) -> str:
    """Return the short name of a function or a class; of another object, its class's.

    >>> name_of(functools.partial(nn.functional.cross_entropy, label_smoothing=0.1))
    'cross_entropy'
    """
    if isinstance(thing, functools.partial):
        return name_of(thing.func)
    return str(getattr(thing, "__name__", type(thing).__name__))


def fingerprint(*things: object) -> str:
    """Return 8 hexadecimal digits that change with what things do, and not from run to run.

    >>> fingerprint(nn.CrossEntropyLoss()) == fingerprint(nn.CrossEntropyLoss())
    True
    >>> fingerprint(nn.CrossEntropyLoss(label_smoothing=0.1)) == fingerprint(nn.CrossEntropyLoss())
    False
    """
    digest = hashlib.blake2b(digest_size=4)
    for part in _Reader().read(list(things)):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


class _Reader:
    """Yields what is to be said of objects; of one that was met before, only its kind."""

    def __init__(self) -> None:
        self._met: dict[int, object] = {}  # the objects are kept: a dead one's id is given again
        self._depth = 0

    def read(self, thing: Any) -> Iterator[str]:
        if thing is None or isinstance(thing, bool | int | float | complex | bytes):
            yield repr(thing)
            return
        if isinstance(thing, str):
            yield "a path" if _is_path(thing) else repr(thing)
            return
        if id(thing) in self._met or self._depth > _DEEPEST:
            yield type(thing).__qualname__
            return
        self._met[id(thing)] = thing
        self._depth += 1
        for kinds, of_kind in _KINDS:
            if isinstance(thing, kinds):
                yield from of_kind(self, thing)
                break
        self._depth -= 1

    def mapping(self, thing: Mapping[Any, Any]) -> Iterator[str]:
        for key, value in thing.items():
            yield repr(key)
            yield from self.read(value)

    def sequence(self, thing: list[Any] | tuple[Any, ...]) -> Iterator[str]:
        yield f"{type(thing).__name__} of {len(thing)}"
        for value in thing:
            yield from self.read(value)

    def collection(self, thing: set[Any]) -> Iterator[str]:
        yield from sorted(map(repr, thing))

    def partial(self, thing: "functools.partial[Any]") -> Iterator[str]:
        yield "partial"
        yield from self.read(thing.func)
        yield from self.read([*thing.args])
        yield from self.read(dict(sorted(thing.keywords.items())))

    def method(self, thing: MethodType) -> Iterator[str]:
        yield from self.read(thing.__func__)
        yield from self.read(thing.__self__)

    def tensor(self, tensor: Tensor) -> Iterator[str]:
        yield f"tensor {list(tensor.shape)} {tensor.dtype}"
        if tensor.numel() <= _SMALL and not tensor.is_meta:
            yield " ".join(f"{x:.4g}" for x in tensor.detach().double().flatten().tolist())

    def builtin(self, thing: BuiltinFunctionType) -> Iterator[str]:
        yield _qualified(thing)

    def function(self, function: FunctionType) -> Iterator[str]:
        yield _qualified(function)
        library = _is_of_a_library(function)
        if not library:
            yield said_by(function)
            yield from self.read([function.__defaults__, function.__kwdefaults__])
        if not library or function.__module__.startswith(_OURS):
            yield from self._enclosed(function)
        if not library:
            yield from self._named(function.__globals__, function.__code__)

    def _enclosed(self, function: FunctionType) -> Iterator[str]:
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=False
        ):
            yield name
            try:
                yield from self.read(cell.cell_contents)
            except ValueError:  # an empty cell
                continue

    def _named(self, known: Mapping[str, Any], code: CodeType) -> Iterator[str]:
        """Yield what a function names of its module, and of other modules of the user's."""
        for name in code.co_names:
            value = known.get(name)
            if isinstance(value, ModuleType) and not _is_a_library(value.__name__):
                inside = [vars(value).get(each) for each in code.co_names]
            else:
                inside = [value]
            for each in inside:
                own = isinstance(each, FunctionType | type) and not _is_of_a_library(each)
                if own or (name.isupper() and _is_of_numbers(each)):
                    yield name
                    yield from self.read(each)
        for const in code.co_consts:
            if isinstance(const, CodeType):
                yield from self._named(known, const)

    def type(self, kind: type) -> Iterator[str]:
        yield _qualified(kind)
        if _is_of_a_library(kind):
            return
        yield from self.read(list(kind.__bases__))
        for name, member in sorted(vars(kind).items()):
            plain = member.__func__ if isinstance(member, staticmethod | classmethod) else member
            plain = plain.fget if isinstance(plain, property) else plain
            written = isinstance(plain, FunctionType) and plain.__code__.co_filename != "<string>"
            if written or _is_of_numbers(plain):
                yield name
                yield from self.read(plain)

    def instance(self, thing: object) -> Iterator[str]:
        """Yield the class of an object and its plain values; of a module, all its submodules'."""
        yield from self.read(type(thing))
        if isinstance(thing, nn.Module):
            for name, buffer in thing.named_buffers(recurse=False):
                yield name
                yield from self.tensor(buffer)
            for name, module in thing.named_children():
                yield name
                yield from self.instance(module)
        for name, value in sorted(getattr(thing, "__dict__", {}).items()):
            if name.startswith("_") or name == "training":
                continue
            plain = isinstance(value, str) or _is_of_numbers(value)
            made = isinstance(value, Tensor | FunctionType | functools.partial)
            if made or (plain and value):  # one that is False or 0 may be new in a newer torch
                yield name
                yield from self.read(value)


_KINDS: tuple[tuple[type | tuple[type, ...], Callable[[_Reader, Any], Iterator[str]]], ...] = (
    (Tensor, _Reader.tensor),
    (Mapping, _Reader.mapping),
    ((list, tuple), _Reader.sequence),
    ((set, frozenset), _Reader.collection),
    (functools.partial, _Reader.partial),
    (MethodType, _Reader.method),
    (FunctionType, _Reader.function),
    (BuiltinFunctionType, _Reader.builtin),
    (type, _Reader.type),
    (object, _Reader.instance),
)


def _is_path(text: str) -> bool:
    """Return whether a text names a file on this machine, which is elsewhere on another."""
    return "\n" not in text and (text.startswith("~") or PurePath(text).is_absolute())


def _is_of_numbers(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_of_numbers, value))
    return isinstance(value, bool | int | float)


def _qualified(thing: Any) -> str:
    """Return a name; the user's module counts for nothing: a script may be run or imported."""
    module, name = getattr(thing, "__module__", None), getattr(thing, "__qualname__", "")
    return f"{module}.{name}" if module and _is_a_library(module) else str(name)


def _is_of_a_library(thing: Any) -> bool:
    return _is_a_library(getattr(thing, "__module__", None) or "builtins")


def _is_a_library(module: str) -> bool:
    """Return whether a module comes with Python, is installed, or is our own."""
    if module.partition(".")[0] == _OURS or module in sys.builtin_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and str(Path(file).resolve()).startswith(_LIBRARIES)
