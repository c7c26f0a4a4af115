"""The released scripts' training recipes, to tell how much of the distance to a paper is the way of training.

Facts of the MovieLens scripts: Adam at 1e-3 for at most 10 epochs, dropout 0.3 that the evaluation-mode defect switches
off after the first epoch, embeddings started at 1e-4 (`docs/tuning.md`). Their loss is the cross-entropy *summed* over
the batch, with l2 and generation loss added as they are; beside a mean, each of these weighs 1 / batch size of that.
"""

from __future__ import annotations

import itertools
import math

import pandas as pd

from leaderboard.ablations.tables import against, protocols_of
from leaderboard.entrants import paper_auc, title
from leaderboard.estimates import Estimate
from leaderboard.jobs import SCRIPTS, Job, first_seeds
from leaderboard.markdown import decimal_text, difference_text, estimate_text, signed_text, table
from leaderboard.results import auc_of, select_runs
from leaderboard.settings import Settings, arguments_of

VARIANT = "published_recipe"  # beside the ablations' variants, among the results of a model


def _released(batch_size: int, **own) -> Settings:
    """own: what a model adds to what all scripts have in common."""
    common = {
        "batch_size": batch_size,
        "lr": 1e-3,
        "lr_schedule": "constant",
        "epochs": 10,
        "patience": 5,
        "dnn_dropout": 0.3,
        "published_eval_mode": True,
        "init_std": 1e-4,
        "l2_reg_embedding": 1e-5 / batch_size,
        "unknown_rate": 0.0,
    }
    return common | own


RANKING = _released(2048, l2_reg_linear=1e-5 / 2048, dnn_use_bn=False)  # batch norm as in deepctr-torch's defaults
RECIPES: dict[str, Settings] = {
    "dssm": _released(2048),
    "deep_fm": RANKING,
    "dcn": RANKING,
    # The release throws CIR away and projects what goes into a layer. 4 heads, as elsewhere here; it has 32.
    "int_tower": _released(2048, cir_weight=0.0, fe_input="pre"),
    "hit": _released(128, epochs=30, patience=2, alpha=0.1 / 128),
}


def recipe_jobs(dataset: str, models: list[str], protocols: list[str], seeds: int) -> list[Job]:
    """Those of these models that have a recipe, under every protocol with every seed."""
    return [
        Job(SCRIPTS[dataset], protocol, model, seed, VARIANT, arguments_of(RECIPES[model]))
        for seed in first_seeds(seeds)
        for protocol in protocols
        for model in models
        if model in RECIPES
    ]


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
            recipe, default = (estimate_text(auc_of(runs, protocol, model, name)) for name in (VARIANT, ""))
            if protocol == "published":
                recipe += _distance(select_runs(runs, protocol, model, VARIANT)["auc"], paper)
            gain = against(runs, protocol, model, "", VARIANT)
            cells += [recipe, default, difference_text(gain)]
        rows.append(cells)
    heads = [(f"`{name}`: the recipe", "our defaults", "gain") for name in protocols]
    return table(["AUC", "paper", *itertools.chain(*heads)], rows)


def _distance(aucs: pd.Series, paper: float) -> str:
    if math.isnan(paper) or not len(aucs):
        return ""
    return f" ({signed_text(Estimate(aucs.mean() - paper, math.nan, 1))})"
