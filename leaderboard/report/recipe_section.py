"""The released training recipes in `results/README.md`: what of a distance to a paper is the way of training."""

from __future__ import annotations

import itertools
import math

import pandas as pd

from leaderboard.families import paper_auc, title
from leaderboard.recipes import RECIPES, VARIANT
from leaderboard.report import findings
from leaderboard.report.ablation_tables import against, auc, protocols_of
from leaderboard.report.tables import change, markdown, number, of, signed
from leaderboard.report.words import bullets
from leaderboard.statistics import Difference, Estimate, compare

TITLE = "## The released training recipes"
RIVALS = (("int_tower", "dssm"), ("int_tower", "dcn"), ("hit", "dcn"), ("int_tower", "hit"))
NOTE = (
    "How much of the distance to a paper is the way of training? The recipe is that of the released scripts: learning "
    "rate 1e-3 throughout, dropout 0.3 that the evaluation-mode defect switches off after the first epoch, the "
    "released weights of l2 and generation loss, no batch norm in ranking models, IntTower without CIR (with 4 heads, "
    "for time; the release has 32). All else is this project's code, not the released one: `docs/published_code.md` "
    "says what that changes. In brackets the distance to the paper. Gain: our defaults minus the recipe, paired by "
    "seed; bold: 0 lies outside the 95 % interval."
)


def recipe_sections(runs: pd.DataFrame, dataset: str) -> list[str]:
    """Nothing without runs of a recipe."""
    rows = table(runs, dataset)
    if not rows:
        return []
    return [TITLE, NOTE, rows, bullets(sentences(runs, dataset))]


def table(runs: pd.DataFrame, dataset: str) -> str:
    """A row a model, and of each protocol the recipe, the defaults and their difference; "" without runs."""
    protocols = protocols_of(runs, [VARIANT])
    rows = []
    for model in RECIPES:
        if not any(len(of(runs, protocol, model, VARIANT)) for protocol in protocols):
            continue
        paper = paper_auc(model, dataset)
        cells = [title(model), number(paper)]
        for protocol in protocols:
            recipe, default = auc(runs, protocol, model, VARIANT), auc(runs, protocol, model)
            if protocol == "published":
                recipe += _distance(of(runs, protocol, model, VARIANT)["auc"], paper)
            cells += [recipe, default, signed(_gain(runs, protocol, model))]
        rows.append(cells)
    heads = [(f"`{name}`: the recipe", "our defaults", "gain") for name in protocols]
    return markdown(["AUC", "paper", *itertools.chain(*heads)], rows) if rows else ""


def sentences(runs: pd.DataFrame, dataset: str) -> list[str]:
    """Under the papers' protocol: each model beside its paper and our defaults, then the models among themselves."""
    published = of_recipes(runs, "published")
    pairs = [(name, other, compare(published, name, other)) for name, other in RIVALS]
    pairs = [pair for pair in pairs if pair[-1].estimate.count]
    told = beside_papers(runs, dataset)
    return told + findings.beside_papers(pairs, dataset, "by the released recipe")


def beside_papers(runs: pd.DataFrame, dataset: str) -> list[str]:
    """How far the recipe gets to each model's paper, and how far our defaults are from it."""
    published = of_recipes(runs, "published")
    told = []
    for model in RECIPES:
        beside, gain = findings.against_paper(published, model, dataset), _gain(runs, "published", model)
        if beside and gain.estimate.count:
            ours = findings.comparison("our default setting", "the recipe", "", gain).removesuffix(".")
            told.append(f"By the released recipe {beside[0].removesuffix('.')}; {ours}.")
    return told


def of_recipes(runs: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """As if they were the default settings."""
    return runs[(runs["variant"] == VARIANT) & (runs["protocol"] == protocol)].assign(variant="")


def _gain(runs: pd.DataFrame, protocol: str, model: str) -> Difference:
    """AUC of our defaults minus that of the recipe, over the seeds that both have."""
    return against(runs, protocol, model, "", VARIANT)


def _distance(aucs: pd.Series, paper: float) -> str:
    if math.isnan(paper) or not len(aucs):
        return ""
    return f" ({change(Estimate(aucs.mean() - paper, math.nan, 1))})"
