"""The released training recipes beside our defaults: what of a distance to a paper is the way of training."""

from __future__ import annotations

import itertools
import math

import pandas as pd

from leaderboard.ablations.tables import against, auc, protocols_of
from leaderboard.entrants import paper_auc, title
from leaderboard.estimates import Difference, Estimate
from leaderboard.markdown import decimal_text, difference_text, signed_text, table
from leaderboard.recipes.recipes import RECIPES, VARIANT
from leaderboard.results import select_runs


def recipes_table(runs: pd.DataFrame, dataset: str) -> str:
    """A row a model, and of each protocol the recipe, the defaults and their difference; "" without runs."""
    protocols = protocols_of(runs, [VARIANT])
    rows = []
    for model in RECIPES:
        if not any(len(select_runs(runs, protocol, model, VARIANT)) for protocol in protocols):
            continue
        paper = paper_auc(model, dataset)
        cells = [title(model), decimal_text(paper)]
        for protocol in protocols:
            recipe, default = auc(runs, protocol, model, VARIANT), auc(runs, protocol, model)
            if protocol == "published":
                recipe += _distance(select_runs(runs, protocol, model, VARIANT)["auc"], paper)
            cells += [recipe, default, difference_text(_gain(runs, protocol, model))]
        rows.append(cells)
    heads = [(f"`{name}`: the recipe", "our defaults", "gain") for name in protocols]
    return table(["AUC", "paper", *itertools.chain(*heads)], rows)


def _gain(runs: pd.DataFrame, protocol: str, model: str) -> Difference:
    """AUC of our defaults minus that of the recipe, over the seeds that both have."""
    return against(runs, protocol, model, "", VARIANT)


def _distance(aucs: pd.Series, paper: float) -> str:
    if math.isnan(paper) or not len(aucs):
        return ""
    return f" ({signed_text(Estimate(aucs.mean() - paper, math.nan, 1))})"
