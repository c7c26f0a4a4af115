"""The ablations in numbers: every variant beside the default settings."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from leaderboard.ablations import ABLATIONS, Ablation
from leaderboard.report.tables import estimate, markdown, of, signed
from leaderboard.statistics import Difference, Estimate, compare
from model import MODELS
from preprocessing.protocol import PROTOCOLS

VARIANTS = {variant for entry in ABLATIONS for variant in entry.variants}


def ablations_with_runs(runs: pd.DataFrame) -> list[Ablation]:
    """The ablations of which at least one variant has run."""
    done = set(zip(runs["model"], runs["variant"], strict=True))
    return [entry for entry in ABLATIONS if any((entry.model, variant) in done for variant in entry.variants)]


def protocols_of(runs: pd.DataFrame, variants: Iterable[str] = VARIANTS) -> list[str]:
    """Those under which any of these variants has run; by default any of an ablation."""
    done = set(runs[runs["variant"].isin(variants)]["protocol"])
    return [name for name in PROTOCOLS if name in done]


def against_defaults(runs: pd.DataFrame, protocol: str, model: str, variant: str) -> Difference:
    """A variant's AUC minus that of the default settings."""
    return compare(variants_of(runs, protocol, model, variant), variant, "")


def variants_of(runs: pd.DataFrame, protocol: str, model: str, variant: str) -> pd.DataFrame:
    """The runs of a variant and of the default settings, named by their variant for `compare`."""
    pair = pd.concat([of(runs, protocol, model), of(runs, protocol, model, variant)])
    return pair.assign(model=pair["variant"])


def table(runs: pd.DataFrame, ablation: Ablation, protocols: list[str]) -> str:
    """One row a variant: its AUC and how it differs from the default settings."""
    rows = [["defaults", *[text for protocol in protocols for text in (auc(runs, protocol, ablation.model), "")]]]
    for variant in ablation.variants:
        cells = [variant.replace("_", " ")]
        for protocol in protocols:
            difference = against_defaults(runs, protocol, ablation.model, variant)
            cells += [auc(runs, protocol, ablation.model, variant), signed(difference)]
        rows.append(cells)
    heads = ["variant", *[text for protocol in protocols for text in (f"`{protocol}` AUC", "difference")]]
    return markdown(heads, rows)


def parts_table(runs: pd.DataFrame) -> str:
    """What is gained or lost where a part is changed: of all ablations that sweep no setting; "" without runs.

    A row a variant, a column a protocol.
    """
    protocols = protocols_of(runs)
    rows = []
    for entry in ablations_with_runs(runs):
        for variant in {} if entry.is_sweep else entry.variants:
            told = [signed(against_defaults(runs, protocol, entry.model, variant)) for protocol in protocols]
            rows.append([f"{MODELS[entry.model].title}: {variant.replace('_', ' ')}", *told])
    return markdown(["AUC minus that of the defaults", *(f"`{name}`" for name in protocols)], rows) if rows else ""


def auc(runs: pd.DataFrame, protocol: str, model: str, variant: str = "") -> str:
    """As printed, "" without runs."""
    chosen = of(runs, protocol, model, variant)
    return estimate(Estimate.of(chosen["auc"])) if len(chosen) else ""
