"""Numbers and tables as Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping

from foundation import markdown
from leaderboard.estimates import Difference, Estimate

JOINED = "\u00a0"  # a space at which no line ends: a number keeps its interval and its unit
AROUND = f"{JOINED}±{JOINED}"
PROTOCOL_TITLES = {"published": "`published` (leaks test labels)", "holdout": "`holdout`", "temporal": "`temporal`"}


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table, its first column of words and the others of numbers; "" without rows.

    Columns in which no row has an entry are left out.

    >>> print(table(["a", "b", "c"], [["1", "", "2"], ["3", "", ""]]))
    | a | c |
    | --- | --: |
    | 1 | 2 |
    | 3 |  |
    """
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    first, *others = ([line[place] for place in kept] for line in (heads, *rows))
    return markdown.table(first, others, numbers=True) if rows else ""


def one_below_the_other(*parts: str) -> str:
    """Tables and sentences with an empty line between them; those that are empty are left out.

    >>> one_below_the_other("| a |", "", "Seeds: 5.")
    '| a |\\n\\nSeeds: 5.'
    """
    return "\n\n".join(filter(None, parts))


def seeds_text(counts: Mapping[str, int], what: str = "") -> str:
    """A sentence: of how many seeds what these names stand for is. The most frequent number first, 0 left out.

    >>> seeds_text({"DCN": 5, "LR": 5}), seeds_text({"DCN": 5, "LR": 3, "HIT": 5, "DAT": 3, "MVKE": 0}, "of the share")
    ('Seeds: 5.', 'Seeds of the share: 5, but 3 for LR, DAT.')
    """
    groups: dict[int, list[str]] = {}
    for name, count in counts.items():
        if count:
            groups.setdefault(count, []).append(name)
    (usual, *others) = sorted(groups, key=lambda count: -len(groups[count])) or [0]
    rest = "; ".join(f"{count} for {', '.join(groups[count])}" for count in others)
    return f"Seeds{what and ' '}{what}: {usual}{f', but {rest}' if rest else ''}." if usual else ""


def cells_seeds_text(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Row -> column -> seeds. A row whose columns agree is named alone.

    >>> cells_seeds_text({"its release": {"HIT": 5, "DSSM": 5}, "4 heads": {"HIT": 0, "DSSM": 5}})
    'Seeds: 5.'
    >>> cells_seeds_text({"its release": {"HIT": 5, "DSSM": 3}, "4 heads": {"HIT": 0, "DSSM": 5}})
    'Seeds: 5, but 3 for its release (DSSM).'
    """
    found: dict[str, int] = {}
    for row, cells in counts.items():
        some = sorted({count for count in cells.values() if count})
        for count in some:
            columns = ", ".join(column for column, own in cells.items() if own == count)
            found[row if len(some) == 1 else f"{row} ({columns})"] = count
    return seeds_text(found)


def decimal_text(value: float, digits: int = 4) -> str:
    """NaN as nothing.

    >>> decimal_text(0.90914), decimal_text(float("nan"))
    ('0.9091', '')
    """
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def estimate_text(value: Estimate, digits: int = 4) -> str:
    """mean ± half-width, the latter only where there are enough seeds.

    >>> estimate_text(Estimate(0.9, 0.00123, 5)), estimate_text(Estimate(0.9, float("nan"), 1))
    ('0.9000\\xa0±\\xa00.0012', '0.9000')
    """
    interval = "" if math.isnan(value.half_width) else AROUND + decimal_text(value.half_width, digits)
    return decimal_text(value.mean, digits) + interval


def difference_text(difference: Difference, digits: int = 4) -> str:
    """A difference with its interval, in bold where 0 lies outside of it.

    >>> difference_text(Difference(Estimate(0.01, 0.002, 5), 0.001))
    '**+0.0100\\xa0±\\xa00.0020**'
    """
    text = signed_text(difference.estimate, digits)
    return f"**{text}**" if difference.is_clear else text


def signed_text(value: Estimate, digits: int = 4) -> str:
    """A difference with its sign, "" where there is none.

    >>> signed_text(Estimate(0.01, 0.002, 5)), signed_text(Estimate(-0.01, float("nan"), 1))
    ('+0.0100\\xa0±\\xa00.0020', '-0.0100')
    """
    return f"{'+' if value.mean >= 0 else ''}{estimate_text(value, digits)}" if value.count else ""


def p_text(p_value: float) -> str:
    """Three decimals; "" without a test.

    >>> [p_text(value) for value in (0.0004, 0.0437, float("nan"))]
    ['<\\xa00.001', '0.044', '']
    """
    return f"<{JOINED}0.001" if p_value < 0.001 else decimal_text(p_value, 3)


def group_mean_text(grouped, name: str, digits: int = 4) -> str:
    """The estimate of one group of a grouped column, "" without it."""
    return estimate_text(Estimate.from_values(grouped.get_group(name)), digits) if name in grouped.groups else ""


def milliseconds(value: float | None) -> str:
    """To two digits that count, whole from 10 on; "" for None.

    >>> [milliseconds(value) for value in (0.0911, 0.5574, 2.2711, 195.3426, None)]
    ['0.091', '0.56', '2.3', '195', '']
    """
    if value is None:
        return ""
    digits = next((digits for bound, digits in ((0.1, 3), (1, 2), (10, 1)) if value < bound), 0)
    return f"{value:.{digits}f}"
