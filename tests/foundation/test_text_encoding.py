"""Text files are UTF-8 wherever the program runs: no call leaves their encoding to the locale."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from page_blocks import files

ROOT = Path(__file__).resolve().parents[2]
# Those of git: a virtual environment may lie in the checkout, as the README's does.
FILES = [ROOT / name for name in files() if name.endswith(".py") and "tests" not in Path(name).parts]
NOT_OURS = {("webbrowser", "open"), ("zipped", "open"), ("os", "open")}


def by_locale(source: str) -> list[int]:
    """Lines with a call that reads or writes text in the encoding of the locale."""
    return [node.lineno for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _by_locale(node)]


def _by_locale(call: ast.Call) -> bool:
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    method = isinstance(call.func, ast.Attribute)
    name = call.func.attr if method else getattr(call.func, "id", "")
    owner = getattr(call.func.value, "id", "") if method else ""
    if "encoding" in named:
        return False
    if name in ("read_text", "write_text"):
        return method
    if name in ("run", "Popen", "check_output"):
        return bool({"text", "universal_newlines"} & set(named))
    if name not in ("open", "fdopen") or (owner, name) in NOT_OURS:
        return False
    # A path's mode comes first, that of other `open`s after the file; gzip's default is binary.
    given = call.args[0 if method and owner not in ("gzip", "io", "os") else 1 :][:1] or [named.get("mode")]
    mode = given[0].value if isinstance(given[0], ast.Constant) else "rb" if owner == "gzip" else "r"
    return "b" not in mode and not (owner == "gzip" and "t" not in mode)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_text_file_has_an_encoding(path):
    assert by_locale(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("path.read_text()", True),
        ("path.write_text(a)", True),
        ("path.read_text(encoding='utf-8')", False),
        ("open(path)", True),
        ("open(path, 'rb')", False),
        ("path.open('a+')", True),
        ("path.open()", True),
        ("path.open(mode='wb')", False),
        ("gzip.open(path)", False),
        ("gzip.open(path, 'wt')", True),
        ("subprocess.run(words, text=True)", True),
        ("subprocess.run(words)", False),
        ("os.open(folder, os.O_RDONLY)", False),
    ],
)
def test_the_check_itself(source, found):
    assert bool(by_locale(source)) == found
