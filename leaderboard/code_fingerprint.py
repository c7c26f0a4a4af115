"""A fingerprint of the code that a result depends on, which survives cleaning.

It is made of the syntax of the packages that training runs, and ignores what changes no number: comments, docstrings,
formatting, annotations of parameters, results and variables, unused imports, imports for type checkers, `pass`, the
order of definitions in a file, and the file in which a definition stands. Everything else in these packages counts,
whether a model reads it or not: texts of errors, names of variables, annotations of a class's fields. Two changes that
matter escape it: a module that imports another definition of the same name, and top-level statements that run in
another order.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from experiment.record import ROOT, code_revision

TRAINED_BY = ("foundation", "kernels", "preprocessing", "training", "model", "experiment")


def code_version() -> dict[str, str]:
    """The git revision, and the fingerprint of the sources: equal sources give equal results."""
    return {"revision": code_revision()["revision"] or "unknown", "sources_sha256": sources_sha256()}


def sources_sha256(checkout: Path = ROOT) -> str:
    """The fingerprint of a checkout."""
    parts = {part for path in _files(checkout) for part in fingerprint_parts(path.read_text(encoding="utf-8"))}
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


def bytes_sha256(checkout: Path) -> str:
    """The fingerprint of older results: over the paths and bytes of the same files."""
    digest = hashlib.sha256()
    for path in _files(checkout):
        digest.update(str(path.relative_to(checkout)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _files(checkout: Path) -> list[Path]:
    return sorted(path for folder in TRAINED_BY for path in (checkout / folder).rglob("*.py"))


@cache  # the runner asks before and after every run
def fingerprint_parts(source: str) -> frozenset[str]:
    """A text for each top-level statement of a module, and for each imported name that one of them uses.

    >>> one = 'import math\\nimport os\\n\\ndef f(x: int) -> float:\\n    "Doc."\\n    return math.sqrt(x)  # why'
    >>> two = 'from __future__ import annotations\\nimport math\\ndef f(x): return math.sqrt( x )'
    >>> fingerprint_parts(one) == fingerprint_parts(two)
    True
    """
    module = ast.parse(source)
    imports = [node for node in ast.walk(module) if isinstance(node, ast.Import | ast.ImportFrom)]
    module = _Bare().visit(module)
    used = {node.id for node in ast.walk(module) if isinstance(node, ast.Name)}
    imported = (pair for statement in imports for pair in _imported(statement))
    names = {f"{name} is {origin}" for name, origin in imported if name in used and name != origin}
    return frozenset(json.dumps(_plain(statement)) for statement in module.body) | names


def _imported(statement: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
    """Name in the module -> what it stands for: of these packages without the module, so that it may move."""
    module = statement.module or "" if isinstance(statement, ast.ImportFrom) else ""
    own = module.split(".")[0] in TRAINED_BY or (isinstance(statement, ast.ImportFrom) and statement.level > 0)
    for alias in statement.names:
        name = alias.asname or (alias.name if module else alias.name.split(".")[0])
        yield name, alias.name if own or not module else f"{module}.{alias.name}"


class _Bare(ast.NodeTransformer):
    """Takes away what changes no number."""

    def __init__(self) -> None:
        self.fields: set[ast.stmt] = set()  # of classes: dataclasses, and options made of them, read their annotations

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.fields |= {statement for statement in node.body if isinstance(statement, ast.AnnAssign)}
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if node in self.fields:
            return self.generic_visit(node)
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)  # a docstring
        return None if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        is_for_types = ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING") and not node.orelse
        return None if is_for_types else self.generic_visit(node)

    def _without(self, node: ast.stmt) -> None:
        return None

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Import = visit_ImportFrom = visit_Pass = _without


def _plain(value):
    """A syntax tree as lists, without what differs between versions of Python."""
    if isinstance(value, ast.AST):
        fields = ((name, of) for name, of in ast.iter_fields(value) if name not in ("ctx", "kind", "type_comment"))
        return [type(value).__name__, *([name, _plain(of)] for name, of in fields if of is not None and of != [])]
    return list(map(_plain, value)) if isinstance(value, list) else repr(value)
