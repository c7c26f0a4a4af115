"""Functions that people are invited to edit: which version one is, so that a run can name what it trained with."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
from collections.abc import Callable
from functools import lru_cache
from types import CodeType, FunctionType

CONSTANTS = (bool, int, float, str, tuple, type(None))


@lru_cache(maxsize=64)
def version_of(function: Callable) -> str:
    """A checksum of what a function does: its source without comments and docstrings, and what that uses of its module.

    Computed at the first use of a function object: what is edited in its file later counts when the file is loaded.
    """
    return hashlib.sha256("\n".join(_texts(function, set())).encode()).hexdigest()[:16]


def _texts(function: Callable, seen: set[Callable]) -> list[str]:
    """Of the function, and of the functions and constants of its module that it uses."""
    code = getattr(function, "__code__", None)
    if function in seen or code is None:
        return [] if function in seen else [repr(function)]
    seen.add(function)
    texts = [_text(function)]
    for name in sorted(code.co_names):
        value = function.__globals__.get(name)
        if isinstance(value, FunctionType) and value.__module__ == function.__module__:
            texts += _texts(value, seen)
        elif isinstance(value, CONSTANTS) and name in function.__globals__:
            texts.append(f"{name} = {value!r}")
    return texts


def _text(function: Callable) -> str:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # typed into a console, or a part of a line
        return _instructions(function.__code__)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(_WithoutTypes().visit(tree))


class _WithoutTypes(ast.NodeTransformer):
    """Variables lose their types, which do nothing: a run of before they were written down is of the same version."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.Assign | None:
        return None if node.value is None else ast.Assign([node.target], node.value, lineno=node.lineno)


def _instructions(code: CodeType) -> str:
    constants = [_instructions(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"
