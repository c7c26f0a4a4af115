"""Hand-made fast paths, each beside the plain torch function that it equals. docs/kernels.md says why each exists.

`KERNELS=plain` in the environment, or `with kernels.use("plain")`, takes the plain functions everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from torch.compiler import is_exporting

from foundation.errors import InputError

VARIABLE = "KERNELS"
CHOICES = ("fast", "plain")

_fast: bool | None = None  # None until the environment has been read


def fast() -> bool:
    """Whether the fast paths are taken. Exported programs take the plain functions, which other languages know.

    Raises `InputError` where the environment asks for neither "fast" nor "plain".
    """
    global _fast
    if _fast is None:
        _fast = _is_fast(os.environ.get(VARIABLE, "fast"))
    return _fast and not is_exporting()


@contextmanager
def use(choice: str) -> Iterator[None]:
    """While the block runs, the kernels are "fast" or "plain", whatever the environment says.

    Raises `InputError` for another choice.
    """
    global _fast
    before, _fast = _fast, _is_fast(choice)
    try:
        yield
    finally:
        _fast = before


def _is_fast(choice: str) -> bool:
    if choice not in CHOICES:
        raise InputError(f"{VARIABLE} must be one of {', '.join(CHOICES)}. Received: {choice!r}.")
    return choice == "fast"
