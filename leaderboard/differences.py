"""The lists of `docs/published_code.md`: what the public releases do otherwise, and which switch brings each back."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from leaderboard.entrants import title
from leaderboard.settings import arguments_of
from model.difference import DATASETS, HIT, INT_TOWER, RANKING, RELEASES, TWO_TOWERS, Difference
from model.released import DIFFERENCES

PARTS = ("rows", "loop", "model")
GROUPS = {HIT: "all", INT_TOWER: "all of IntTower's release", TWO_TOWERS: "two towers", RANKING: "ranking models"}
RELEASE_TITLES = {"inttower": "IntTower's release", "hit": "HIT's release"}
DATASET_TITLES = {"movielens": "MovieLens", "amazon": "Amazon", "taobao": "Taobao"}
NOT_ALONE = ("own_history_table",)  # comes with `--as_released`, and has no option of its own


def difference_lists() -> dict[str, str]:
    """Marker -> list, one for each part; sentences in a table would be too narrow to read."""
    return {f"releases: {part}": _list(each for each in DIFFERENCES if each.part == part) for part in PARTS}


def _list(differences: Iterable[Difference]) -> str:
    return "\n".join(
        f"- **{each.name[0].upper()}{each.name[1:]}.** {each.what}\n"
        f"  - Where: {each.where}\n"
        f"  - Models: {_concerned(each)}\n"
        f"  - Here: {_here(each)}"
        for each in differences
    )


def _concerned(each: Difference) -> str:
    """Models, and where not in both releases and on every data set, in which.

    >>> _concerned(Difference("a", "model", "f", "w", ("mvke", "poly_encoder"), releases=("hit",)))
    'MVKE, Poly-Encoder'
    >>> _concerned(Difference("a", "rows", "f", "w", HIT, releases=("hit",), datasets=("movielens",)))
    "all; HIT's release; MovieLens"
    """
    parts = [GROUPS.get(each.models) or ", ".join(title(name) for name in each.models)]
    if each.releases != RELEASES and set(each.models) & set(INT_TOWER):
        parts.append(", ".join(RELEASE_TITLES[name] for name in each.releases))
    if each.datasets != DATASETS:
        parts.append(", ".join(DATASET_TITLES[name] for name in each.datasets))
    return "; ".join(parts)


def _here(each: Difference) -> str:
    """What brings it alone, as one types it in a shell, or why nothing does.

    >>> _here(Difference("a", "model", "f", "w", settings={"cosine": True}))
    '`--set cosine=true`'
    >>> _here(Difference("a", "model", "f", "w", why="No score may depend on other rows."))
    'left out: No score may depend on other rows.'
    >>> print(_here(Difference("a", "model", "f", "w", settings={"user_static": ("gender", "age")})))
    `--set 'user_static=["gender", "age"]'`
    >>> _here(Difference("a", "model", "f", "w"))
    'the same'
    """
    if each.why:
        return f"left out: {each.why}"
    words = arguments_of({name: value for name, value in each.settings.items() if name not in NOT_ALONE})
    return f"`{shlex.join(words)}`" if words else "the same"
