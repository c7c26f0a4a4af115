"""The committed results with all that is still to run, made up: what tables and pictures must have room for."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from leaderboard.ablations.variants import ABLATIONS
from leaderboard.ladder.rungs import RUNGS
from leaderboard.pages import Results

KEY = ["protocol", "model", "seed", "variant"]


def made_up(results: Results) -> Results:
    """Every ablation under two protocols, every rung of the ladder, every model under every protocol, five seeds."""
    runs = with_every_protocol(results.runs)
    runs = pd.concat([with_ablations(runs), on_the_ladder(runs)])
    stages = [*results.stages, *map(of_temporal, results.stages)]
    return replace(results, runs=runs.drop_duplicates(KEY), stages=stages)


def with_every_protocol(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of `holdout`, and with other AUCs under the other protocols where they are missing."""
    honest = runs[(runs["protocol"] == "holdout") & runs["variant"].isin(["", "heads_1"])]
    parts = [runs]
    for protocol, change in (("published", 0.02), ("temporal", -0.04)):
        parts.append(honest.assign(protocol=protocol, auc=honest["auc"] + change))
    return pd.concat(parts).drop_duplicates(KEY)


def of_temporal(entry: dict) -> dict:
    """The same agreement with the ranker under another protocol."""
    aucs = {name: entry[name] - 0.04 for name in ("test_auc", "ranker_test_auc")}
    return entry | {"protocol": "temporal"} | aucs


def with_ablations(runs: pd.DataFrame) -> pd.DataFrame:
    """These runs, and made-up ones of all ablations: some better than the defaults, most worse, one by far."""
    defaults = runs[(runs["variant"] == "") & (runs["protocol"] != "temporal") & (runs["seed"] < 1026)]
    rows = [runs]
    for ablation in ABLATIONS:
        for place, variant in enumerate(ablation.variants):
            own = defaults[defaults["model"] == ablation.model]
            change = 0.02 if ablation.model == "dssm" else 0.0004 - 0.001 * place
            rows.append(own.assign(variant=variant, auc=own["auc"] + change + own["seed"] % 3 * 0.0004))
    return pd.concat(rows).drop_duplicates(KEY)


def on_the_ladder(runs: pd.DataFrame) -> pd.DataFrame:
    """Made-up runs of every rung: its models' defaults, each a little better than on the rung before."""
    defaults = runs[(runs["variant"] == "") & (runs["protocol"] == "published")]
    rungs = [rung for rung in RUNGS if rung.variant]
    parts = [(place, rung, defaults[defaults["model"].isin(rung.models)]) for place, rung in enumerate(rungs)]
    return pd.concat(own.assign(variant=rung.variant, auc=own["auc"] + 0.001 * place) for place, rung, own in parts)
