"""What a function says: its syntax tree, without what changes nothing that it does.

Comments, docstrings, annotations and positions are left out, so that no formatter changes it, nor
another version of Python.
"""

import ast
import inspect
import linecache
import textwrap
from collections.abc import Iterator
from types import CodeType, FunctionType

_NO_MATTER = ("type_comment", "ctx", "kind", "annotation", "returns", "type_params")
_LAMBDA = "<lambda>"


def said_by(function: FunctionType) -> str:
    """Return the syntax tree of a function as text; its bytecode where there is no source.

    >>> said_by(lambda x: x + 1) == said_by(lambda  x : (x+1)) != said_by(lambda x: x + 2)
    True
    """
    code = function.__code__
    try:
        node = _lambda_of(code) if function.__name__ == _LAMBDA else _definition_of(function)
    except (OSError, TypeError, ValueError, SyntaxError):
        node = None
    if node is not None:
        return "".join(_words(node))
    constants = [const for const in code.co_consts if not isinstance(const, CodeType)]
    return f"{code.co_code.hex()} {constants} {code.co_names}"


def _definition_of(function: FunctionType) -> ast.AST | None:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return tree.body[0] if tree.body else None


def _lambda_of(code: CodeType) -> ast.AST | None:
    """Return the lambda of a code: the shortest of its line in which all instructions lie."""
    source = "".join(linecache.getlines(code.co_filename))
    nodes = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda))
    lines = source.splitlines()
    found = [n for n in nodes if n.lineno == code.co_firstlineno and _holds(n, code, lines)]
    return min(found, key=lambda node: len(ast.dump(node)), default=None)


def _holds(node: ast.Lambda, code: CodeType, lines: list[str]) -> bool:
    begin, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
    for first, last, left, right in code.co_positions():
        if first is None or last is None or left is None or right is None or not right:
            continue
        if (first, left) < begin or (last, right) > end:
            return False
    return bool(lines)


def _words(node: object) -> Iterator[str]:
    if isinstance(node, list):
        for part in node:
            yield from _words(part)
    elif isinstance(node, ast.JoinedStr):
        yield f"({type(node).__name__} {''.join(map(_of_a_text, node.values))})"
    elif not isinstance(node, ast.AST):
        yield f"{node!r};"
    elif not _is_docstring(node):
        yield f"({type(node).__name__} "
        for name, value in ast.iter_fields(node):
            if value is not None and value != [] and name not in _NO_MATTER:
                yield f"{name}="
                yield from _words(value)
        yield ")"


def _of_a_text(part: ast.expr) -> str:
    """Return a part of an f-string; versions of Python differ in how they divide its plain text."""
    return str(part.value) if isinstance(part, ast.Constant) else "".join(_words(part))


def _is_docstring(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
