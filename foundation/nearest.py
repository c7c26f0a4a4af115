"""Which of the known names somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A question about the nearest known name, behind a space; nothing where none is near.

    >>> did_you_mean("int_towre", ["int_tower", "hit"]), did_you_mean("Price ", ["price", "brand"])
    (" Did you mean 'int_tower'?", " Did you mean 'price'?")
    >>> did_you_mean("colour", ["price", "brand"])
    ''
    """
    plain = {str(one).strip().lower(): one for one in known}
    near = difflib.get_close_matches(str(name).strip().lower(), plain, n=1, cutoff=0.7)
    return f" Did you mean {plain[near[0]]!r}?" if near else ""
