"""Numbers and lists inside sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable

from leaderboard.report.tables import estimate
from leaderboard.statistics import Estimate

ONE_SEED = "one seed, which tells nothing of the spread"


def bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def listed(words: Iterable[str]) -> str:
    """
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def seeds_of(count: int, p_value: float = float("nan")) -> str:
    """
    >>> seeds_of(1), seeds_of(5, 0.002)
    ('one seed', '5 seeds, p = .002')
    """
    test = p_text(p_value)
    return "one seed" if count == 1 else f"{count} seeds" + (f", p {'' if '<' in test else '= '}{test}" if test else "")


def apart(value: Estimate) -> str:
    """A distance without its sign, and in which direction it goes.

    >>> apart(Estimate(-0.004, 0.001, 5))
    '.0040 ± .0010 AUC below'
    """
    size = Estimate(abs(value.mean), value.half_width, value.count)
    return f"{estimate(size)} AUC {'above' if value.mean >= 0 else 'below'}"


def p_text(p_value: float) -> str:
    """Three decimals; "" for a single seed.

    >>> [p_text(value) for value in (0.0004, 0.0023, 0.0437, 0.5, float("nan"))]
    ['< .001', '.002', '.044', '.500', '']
    """
    if math.isnan(p_value):
        return ""
    return "< .001" if p_value < 0.001 else f"{p_value:.3f}".removeprefix("0")
