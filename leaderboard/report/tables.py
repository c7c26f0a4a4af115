"""Markdown tables from runs: the leaderboard of each protocol, and the steps between protocols."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pandas as pd

from leaderboard.families import BASELINE, entrant, kind, paper_auc, title
from leaderboard.report.speed import Speeds
from leaderboard.statistics import Difference, Estimate, relative_improvement
from model import MODELS
from preprocessing.protocol import PROTOCOLS

NOT_MEASURED = Speeds()
PROTOCOL_TITLES = {"published": "`published` (leaks test labels)", "holdout": "`holdout`", "temporal": "`temporal`"}


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """A table, its first column of words and the others of numbers."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float, digits: int = 4) -> str:
    """0.9091 as .9091, NaN as nothing.

    >>> number(0.90914), number(-0.5, 2), number(float("nan"))
    ('.9091', '-.50', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits}f}"


def estimate(value: Estimate, digits: int = 4) -> str:
    """mean ± half-width, the latter only where there are several seeds.

    >>> estimate(Estimate(0.9, 0.00123, 5)), estimate(Estimate(0.9, float("nan"), 1))
    ('.9000 ± .0012', '.9000')
    """
    return number(value.mean, digits) + (
        "" if math.isnan(value.half_width) else f" ± {number(value.half_width, digits)}"
    )


def signed(difference: Difference, digits: int = 4) -> str:
    """A difference with its interval, in bold where 0 lies outside of it.

    >>> signed(Difference(Estimate(0.01, 0.002, 5), 0.001)), signed(Difference(Estimate(-0.001, 0.002, 5), 0.4))
    ('**+.0100 ± .0020**', '-.0010 ± .0020')
    """
    text = change(difference.estimate, digits)
    return f"**{text}**" if difference.is_clear else text


def change(value: Estimate, digits: int = 4) -> str:
    """A difference with its sign, "" where there is none.

    >>> change(Estimate(0.01, 0.002, 5)), change(Estimate(-0.01, float("nan"), 1))
    ('+.0100 ± .0020', '-.0100')
    """
    return f"{'+' if value.mean >= 0 else ''}{estimate(value, digits)}" if value.count else ""


def of(runs: pd.DataFrame, protocol: str, model: str, variant: str = "") -> pd.DataFrame:
    """The runs of one protocol, model and variant ("": default settings)."""
    return runs[(runs["protocol"] == protocol) & (runs["model"] == model) & (runs["variant"] == variant)]


def entrants(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of default settings, and those of forms under the form's name (`leaderboard.families.ENTRANTS`)."""
    names = pd.Series(map(entrant, runs["model"], runs["variant"]), runs.index, dtype=object)
    return runs.assign(model=names, variant="")[names.notna()]


def mean_of(grouped, name: str, digits: int = 4) -> str:
    """The estimate of one group of a grouped column, "" without it."""
    return estimate(Estimate.of(grouped.get_group(name)), digits) if name in grouped.groups else ""


def overview(runs: pd.DataFrame, dataset: str) -> str:
    """One row a model: the paper's AUC / logloss, and ours under each protocol."""
    rows = []
    for name, entry in MODELS.items():
        own = [of(runs, protocol, name) for protocol in PROTOCOLS]
        if any(map(len, own)):
            paper = " / ".join(number(score) for score in entry.paper.get(dataset, ()))
            rows.append([entry.title, paper, *(_auc_and_logloss(part) if len(part) else "" for part in own)])
    return markdown(*filled_columns(["AUC / logloss", "paper", *PROTOCOL_TITLES.values()], rows))


def _auc_and_logloss(runs: pd.DataFrame) -> str:
    return f"{estimate(Estimate.of(runs['auc']))} / {number(runs['logloss'].mean())}"


def leaderboard(runs: pd.DataFrame, protocol: str, dataset: str, speeds: Speeds = NOT_MEASURED) -> str:
    """All entrants of one protocol, the best AUC first, with RelaImpr against DSSM and what training and serving cost.

    The paper's AUC stands beside the numbers of its own protocol alone, the number of seeds where models differ in it.
    A column without an entry is left out.
    """
    own = entrants(runs[runs["protocol"] == protocol])
    several = own.groupby("model").size().nunique() > 1
    order = own.groupby("model")["auc"].mean().sort_values(ascending=False).index
    rows = []
    for name in order:
        of_model = own[own["model"] == name]
        auc = Estimate.of(of_model["auc"])
        improvement = relative_improvement(own, name, BASELINE)
        paper = paper_auc(name, dataset)
        published = protocol == "published" and not math.isnan(paper)
        against = f"{number(paper)} ({change(replace(auc, mean=auc.mean - paper))})" if published else ""
        rows.append(
            [
                title(name),
                kind(name),
                *(estimate(Estimate.of(of_model[metric])) for metric in ("auc", "logloss", "gauc")),
                f"{100 * improvement.mean:+.1f} %" if improvement.count else "",
                against,
                f"{of_model['parameters'].iloc[0] / 1e6:.2f} M",
                f"{of_model['train_seconds'].mean():.0f}",
                *speeds.cells(name),
                str(auc.count) if several else "",
            ]
        )
    heads = ["model", "kind", "AUC", "logloss", "GAUC", "RelaImpr", "paper's AUC (difference)"]
    heads += ["parameters", "training, s", "bytes an item", "scoring / request, ms", "seeds"]
    return markdown(*filled_columns(heads, rows))


def filled_columns(heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Without the columns in which no row has an entry.

    >>> filled_columns(["a", "b"], [["1", ""], ["2", ""]])
    (['a'], [['1'], ['2']])
    """
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    return [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]


def protocol_losses(runs: pd.DataFrame, model: str, before: str, after: str) -> Estimate:
    """AUC under the second protocol minus that under the first, over the seeds that both have."""
    first, second = (of(runs, protocol, model).set_index("seed")["auc"] for protocol in (before, after))
    return Estimate.of((second - first).dropna())


def steps(runs: pd.DataFrame) -> str:
    """What each model's AUC loses from protocol to protocol: without the leak, and by time instead of at random."""
    rows = []
    for name, entry in MODELS.items():
        means = [Estimate.of(of(runs, protocol, name)["auc"]).mean for protocol in PROTOCOLS]
        if not all(map(math.isnan, means)):
            losses = [change(protocol_losses(runs, name, *pair)) for pair in itertools.pairwise(PROTOCOLS)]
            rows.append([entry.title, *map(number, means), *losses])
    heads = ["model", *(f"`{protocol}`" for protocol in PROTOCOLS), "without the leak", "by time"]
    return markdown(heads, rows)
