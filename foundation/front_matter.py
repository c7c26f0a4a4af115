"""The YAML block at the top of a Markdown file, written without a YAML package.

Every text is a double-quoted scalar, in which nothing needs a rule but quotes, backslashes and what cannot be printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from foundation.shown import visible

FENCE = "---\n"


def front_matter(document: dict[str, Any], comment: str) -> str:
    """The block with its fences; the comment, a line, comes first.

    document: names that need no quotes -> texts, numbers, truth values, and lists and dicts of these. Texts lose line
    ends and control characters.

    >>> print(front_matter({"tags": ["a: b"], "index": [{"name": "x", "value": 1e-05}]}, "why"), end="")
    ---
    # why
    tags:
    - "a: b"
    index:
    - name: "x"
      value: 1.0e-05
    ---
    """
    lines = "".join(f"{line}\n" for line in _lines(document))
    return f"{FENCE}# {comment}\n{lines}{FENCE}"


def _lines(value: dict | list) -> Iterator[str]:
    """A dict or a list in block style."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if isinstance(entry, (dict, list)):
                yield f"{name}:"
                yield from (f"{'' if isinstance(entry, list) else '  '}{line}" for line in _lines(entry))
            else:
                yield f"{name}: {_scalar(entry)}"
        return
    for entry in value:
        inner = list(_lines(entry)) if isinstance(entry, (dict, list)) else [_scalar(entry)]
        yield from (f"{'  ' if number else '- '}{line}" for number, line in enumerate(inner))


def _scalar(value: str | float | bool) -> str:
    if isinstance(value, str):
        text = json.dumps(visible(value), ensure_ascii=False)
        return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in text)
    # "1e-05" is a text to readers of YAML 1.1.
    return re.sub(r"^(-?\d+)e", r"\1.0e", json.dumps(value, allow_nan=False))
