"""The table of `docs/published_code.md`: what the public releases do otherwise, and which switch brings each back."""

from __future__ import annotations

from leaderboard.entrants import title
from leaderboard.settings import arguments_of
from model.differences import DIFFERENCES, HIT, INT_TOWER, RANKING, RELEASES, TWO_TOWERS, Difference

GROUPS = {HIT: "all", INT_TOWER: "all of IntTower's release", TWO_TOWERS: "two towers", RANKING: "ranking models"}
TITLES = {"inttower": "IntTower's release", "hit": "HIT's release"}
DATASETS = {"movielens": "MovieLens", "amazon": "Amazon", "taobao": "Taobao"}
NOT_ALONE = ("own_history_table",)  # comes with `--as_released`, and has no option of its own


def releases_table(differences: list[Difference] = DIFFERENCES) -> str:
    """One line a difference, in the order rows, loop, model; those that stay out say why."""
    lines = ["| | in the release | models | alone by |", "|---|---|---|---|"]
    for part in ("rows", "loop", "model"):
        for each in (each for each in differences if each.part == part):
            cells = each.name, f"{each.what} ({each.where})", _concerned(each), _switches(each)
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _concerned(each: Difference) -> str:
    """Models, and where not in both releases and on every data set, in which.

    >>> _concerned(Difference("a", "model", "f", "w", ("mvke", "poly_encoder"), releases=("hit",)))
    'MVKE, Poly-Encoder'
    >>> _concerned(Difference("a", "rows", "f", "w", HIT, releases=("hit",), datasets=("movielens",)))
    "all; HIT's release; MovieLens"
    """
    parts = [GROUPS.get(each.models) or ", ".join(title(name) for name in each.models)]
    if each.releases != RELEASES and set(each.models) & set(INT_TOWER):
        parts.append(", ".join(TITLES[name] for name in each.releases))
    if len(each.datasets) < len(DATASETS):
        parts.append(", ".join(DATASETS[name] for name in each.datasets))
    return "; ".join(parts)


def _switches(each: Difference) -> str:
    """
    >>> _switches(Difference("a", "model", "f", "w", settings={"cosine": True}))
    '`--set cosine=true`'
    >>> _switches(Difference("a", "model", "f", "w", reproduced=False, why="a score would depend on other rows"))
    'none: a score would depend on other rows'
    """
    if not each.reproduced:
        return f"none: {each.why}"
    words = arguments_of({name: value for name, value in each.settings.items() if name not in NOT_ALONE})
    return f"`{' '.join(words)}`" if words else ""
