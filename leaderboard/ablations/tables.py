"""The ablations in numbers: every variant beside the default settings."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from leaderboard.ablations.variants import ABLATIONS, Ablation
from leaderboard.data_sets import MOVIELENS
from leaderboard.entrants import ONE_HEAD, title
from leaderboard.estimates import Difference, Estimate, compare
from leaderboard.markdown import difference_text, estimate_text, one_below_the_other, table
from leaderboard.results import auc_of, select_runs
from preprocessing.protocol import PROTOCOLS

# What a reader calls a variant whose name is one of options; of the others the name says it.
LABELS = {
    "": "the defaults",
    "no_light_se": "no Light-SE",
    "fe_last_level_only": "FE-Block on the last level alone",
    "fe_input_pre": "FE-Block on the layers' inputs",
    "heads_1_cir_weight_1.0": "one head, CIR weight 1.0",
    "no_target": "no target generators",
    "no_non_target": "no non-target generators",
    "loss_none": "no generation loss",
    "as_of": "as of the row's time",
    "history": "with the history",
    "dropout": "dropout 0.3",
    "dropout_published_eval_mode": "dropout 0.3, first epoch alone",
}
NAMES = {"cir": "CIR", "loss": "generation loss", "mae": "MAE", "mse": "MSE"}
VARIANTS = {variant for entry in ABLATIONS if not entry.group for variant in entry.variants} - {
    ONE_HEAD
}  # the grid has that one too


def ablations_with_runs(runs: pd.DataFrame, dataset: str = MOVIELENS.key) -> list[Ablation]:
    """The ablations of which a variant has run that does not stand beside the models, as every grid has those.

    Those of a group have their own table. dataset: key of the data set, on which a default may be another one.
    """
    own = runs[runs["variant"].isin(VARIANTS)]
    done = set(zip(own["model"], own["variant"], strict=True))
    ungrouped = [entry.on(dataset) for entry in ABLATIONS if not entry.group]
    return [entry for entry in ungrouped if any((entry.model, variant) in done for variant in entry.variants)]


def protocols_of(runs: pd.DataFrame, variants: Iterable[str]) -> list[str]:
    """Those under which any of these variants has run."""
    done = set(runs[runs["variant"].isin(variants)]["protocol"])
    return [name for name in PROTOCOLS if name in done]


def shown_protocols(runs: pd.DataFrame) -> list[str]:
    """Of tables and pictures of many variants: those under which a quarter of them has run, shown ones aside."""
    done = runs[runs["variant"].isin(VARIANTS)]
    count = done.groupby("protocol")["variant"].nunique()
    return [name for name in PROTOCOLS if 4 * count.get(name, 0) >= max(1, done["variant"].nunique())]


def label(variant: str) -> str:
    """
    >>> label("no_cir"), label("heads_8"), label("loss_mae"), label("no_target")
    ('no CIR', 'heads 8', 'generation loss MAE', 'no target generators')
    """
    return LABELS.get(variant) or " ".join(NAMES.get(word, word) for word in variant.split("_"))


def against_reference(runs: pd.DataFrame, protocol: str, ablation: Ablation, variant: str) -> Difference:
    """A variant's AUC minus that of the ablation's reference, mostly the default settings."""
    return against(runs, protocol, ablation.model, variant, ablation.reference)


def against(runs: pd.DataFrame, protocol: str, model: str, variant: str, reference: str) -> Difference:
    """A model's AUC with one variant minus that with another, over the seeds that both have; "": default settings."""
    pair = pd.concat([select_runs(runs, protocol, model, name) for name in (variant, reference)])
    return compare(pair.assign(model=pair["variant"]), variant, reference)


def differences(runs: pd.DataFrame) -> list[Difference]:
    """All differences of AUC that the tables of ablations show."""
    return [
        against_reference(runs, protocol, entry, variant)
        for entry in ABLATIONS
        for protocol in protocols_of(runs[runs["model"] == entry.model], set(entry.variants))
        for variant in entry.compared
    ]


def ablation_table(runs: pd.DataFrame, ablation: Ablation) -> str:
    """A table a protocol: the reference first, then a row each of the others: its AUC, and minus the reference's."""
    protocols = protocols_of(runs[runs["model"] == ablation.model], set(ablation.variants) & VARIANTS)
    return one_below_the_other(*(_ablation(runs, ablation, protocol) for protocol in protocols))


def _ablation(runs: pd.DataFrame, ablation: Ablation, protocol: str) -> str:
    rows = []
    for variant in (ablation.reference, *ablation.compared):
        auc = estimate_text(auc_of(runs, protocol, ablation.model, variant))
        differs = variant != ablation.reference
        difference = difference_text(against_reference(runs, protocol, ablation, variant)) if differs else ""
        rows.append([label(variant), auc, difference])
    return table(["variant", f"`{protocol}` AUC", "difference"], rows)


def group_table(runs: pd.DataFrame, group: str) -> str:
    """A table a protocol, a row each model of a group of ablations: its AUC by default, with the one variant, and the
    difference."""
    entries = [entry for entry in ABLATIONS if entry.group == group]
    variants = [variant for entry in entries for variant in entry.variants]
    return one_below_the_other(*(_group(runs, entries, protocol) for protocol in protocols_of(runs, variants)))


def _group(runs: pd.DataFrame, entries: list[Ablation], protocol: str) -> str:
    rows = []
    for entry in entries:
        (variant,) = entry.variants
        aucs = [auc_of(runs, protocol, entry.model, name) for name in ("", variant)]
        if aucs[1].count:
            difference = difference_text(against_reference(runs, protocol, entry, variant))
            rows.append([title(entry.model), label(variant), *map(estimate_text, aucs), difference])
    return table([f"AUC, `{protocol}`", "variant", "the defaults", "the variant", "difference"], rows)


def parts_table(runs: pd.DataFrame) -> str:
    """What is gained or lost where a part is changed, a row a variant; "" without runs.

    Of the numbers of heads `ONE_HEAD` alone.
    """
    protocols = shown_protocols(runs)
    rows = []
    for entry in ablations_with_runs(runs):
        beside = f", against {label(entry.reference)}" if entry.reference else ""
        for variant in [ONE_HEAD] if entry.sweeps_heads else filter(None, entry.compared):
            cells = [difference_text(against_reference(runs, protocol, entry, variant)) for protocol in protocols]
            if any(cells):
                rows.append([f"{title(entry.model)}: {label(variant)}{beside}", *cells])
    return table(["AUC minus that of the defaults", *(f"`{name}`" for name in protocols)], rows)


def auc_by_heads(runs: pd.DataFrame, protocol: str, ablation: Ablation) -> dict[int, Estimate]:
    """Ascending number of heads -> test AUC, over the seeds that all numbers with runs have in common."""
    own = {
        heads: select_runs(runs, protocol, ablation.model, variant)
        for heads, variant in sorted(ablation.heads().items())
    }
    own = {heads: part.set_index("seed")["auc"] for heads, part in own.items() if len(part)}
    common = pd.DataFrame(own).dropna()
    return {heads: Estimate.from_values(common[heads]) for heads in common} if len(common) else {}
