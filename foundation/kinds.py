"""The names of the kinds of features: `sparse`, `dense` and others."""

from __future__ import annotations

# As printed data sets and most people call them.
ALIASES = {"category": "sparse", "number": "dense"}


def kind_name(name: str) -> str:
    """
    >>> kind_name("number"), kind_name("list")
    ('dense', 'list')
    """
    return ALIASES.get(name, name)
