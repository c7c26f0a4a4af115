"""The names of number formats: `float32`, `bfloat16`, `int8`, in training and serving alike."""

from __future__ import annotations

from collections.abc import Iterable

from foundation.errors import InputError

# As earlier versions and many programs write them, in runs of before, too. "_forced": where it is slower as well.
ALIASES = {"fp32": "float32", "bf16": "bfloat16", "bf16_forced": "bfloat16_forced"}


def precision_name(name: str) -> str:
    """
    >>> precision_name("bf16"), precision_name("int8")
    ('bfloat16', 'int8')
    """
    return ALIASES.get(name, name)


def check_precision(name: str, known: Iterable[str]) -> str:
    """The name without abbreviation. Raises `InputError` for one that is not among the known ones."""
    full = precision_name(name)
    if full not in known:
        raise InputError(f"Unknown precision '{name}'. Known: {', '.join(known)}.")
    return full
