"""What `results/README.md` says of models as pre-rankers and of their calibration, from `stages.json` and the runs."""

from __future__ import annotations

import pandas as pd

from leaderboard.families import FORMS, OURS, is_two_tower, kind, title
from leaderboard.measures.agreement import CUTS, TOP
from leaderboard.measures.stages import USERS
from leaderboard.report.tables import (
    PROTOCOL_TITLES,
    entrants,
    estimate,
    filled_columns,
    markdown,
    mean_of,
    number,
    signed,
)
from leaderboard.report.words import bullets, listed
from leaderboard.statistics import Estimate, compare
from model import MODELS
from preprocessing.protocol import PROTOCOLS
from training.calibration import BINS

NOTE = (
    f"A pre-ranker has to let through what the ranker behind it would put first. {USERS} users with test rows are "
    f"drawn by the seed, each item of the catalogue is a candidate, and the ranker is the ranking model with the best "
    f"validation AUC of the protocol and seed. Top {TOP} in {', '.join(map(str, CUTS))}: the share of the ranker's top "
    f"{TOP} that is among that many of the model's best; Spearman: rank correlation of its scores with the ranker's "
    "over all candidates; both are means over users. Features are those of a request after training, under `published` "
    "too. `python benchmark.py --stages` measures it."
)
CALIBRATION_NOTE = f"Expected calibration error on the test rows, {BINS} bins."


def stage_frame(entries: list[dict], runs: pd.DataFrame) -> pd.DataFrame:
    """One row an entry of `stages.json` that is about the runs at hand: its keys, survivors by cut as "200", ...

    An entry is left out if its model or ranker was run again since, or another ranking model is the best by now.
    """
    measured = entrants(runs).set_index(["protocol", "seed", "model"])
    rankers = _best_rankers(measured)

    def is_current(entry: dict) -> bool:
        place = entry["protocol"], entry["seed"]
        if rankers.get(place) != entry["ranker"]:
            return False
        about = {entry["model"]: entry["test_auc"], entry["ranker"]: entry["ranker_test_auc"]}
        return all(
            (*place, name) in measured.index and measured["auc"][(*place, name)] == auc for name, auc in about.items()
        )

    rows = [{**entry, **entry["survivors"]} for entry in entries if is_current(entry)]
    return pd.DataFrame(rows, columns=["protocol", "seed", "model", "ranker", "items", "spearman", *map(str, CUTS)])


def _best_rankers(measured: pd.DataFrame) -> dict[tuple[str, int], str]:
    """(protocol, seed) -> the ranking model with the best validation AUC.

    measured: of `entrants`, indexed by protocol, seed and model.
    """
    ranking = [name for name in MODELS if not is_two_tower(name)]
    if "validation_auc" not in measured:
        return {}
    auc = measured["validation_auc"].unstack().reindex(columns=ranking).dropna(how="all")
    return auc.idxmax(axis=1).to_dict()


def stage_tables(entries: list[dict], runs: pd.DataFrame) -> list[str]:
    """A heading, a table and its ranker for each protocol of which stages were measured."""
    frame = stage_frame(entries, runs)
    parts = []
    for protocol in PROTOCOLS:
        own = frame[frame["protocol"] == protocol]
        if len(own):
            parts += [f"### {PROTOCOL_TITLES[protocol]}", stage_table(own), _ranker_line(own), *_ours_apart(own)]
    return parts


def stage_table(frame: pd.DataFrame) -> str:
    """One row a model of one protocol, two-tower models first, those that let the most through first among them.

    frame: of `stage_frame`.
    """
    survivors = frame.groupby("model")[str(CUTS[0])].mean()
    rows = []
    for name in sorted(survivors.index, key=lambda name: (not is_two_tower(name), -survivors[name])):
        own = frame[frame["model"] == name]
        cells = [estimate(Estimate.of(own[column]), 3) for column in (*map(str, CUTS), "spearman")]
        rows.append([title(name), kind(name), *cells, str(len(own))])
    rows.append(["random choice", "", *(number(share, 3) for share in random_shares(frame).values()), "0", ""])
    heads = ["model", "kind", *(f"top {TOP} in {cut}" for cut in CUTS), "Spearman", "seeds"]
    return markdown(heads, rows)


def calibration_table(runs: pd.DataFrame) -> str:
    """One row a model: its expected calibration error under each protocol, default settings; "" where none has one."""
    if "ece" not in runs:
        return ""
    measured = runs[(runs["variant"] == "") & runs["ece"].notna()]
    errors = {protocol: measured[measured["protocol"] == protocol].groupby("model")["ece"] for protocol in PROTOCOLS}
    rows = [
        [title(name), *(mean_of(grouped, name) for grouped in errors.values())]
        for name in MODELS
        if name in set(measured["model"])
    ]
    return markdown(*filled_columns(["ECE", *PROTOCOL_TITLES.values()], rows)) if rows else ""


def _ranker_line(frame: pd.DataFrame) -> str:
    """Which model was the ranker for which seeds."""
    seeds = frame.drop_duplicates(["ranker", "seed"]).groupby("ranker")["seed"].apply(lambda own: sorted(own.tolist()))
    rankers = ", ".join(f"{title(name)} (seed {', '.join(map(str, own))})" for name, own in seeds.items())
    return f"Ranker: {rankers}."


def _ours_apart(frame: pd.DataFrame) -> list[str]:
    """IntTower's shares minus HIT's, of both with one head, too, and those of each form minus its model's.

    A line a pair, over the seeds that both have.
    """
    told = []
    for first, second in (OURS, tuple(FORMS), *((name, form.model) for name, form in FORMS.items())):
        shares = {cut: compare(frame, first, second, metric=str(cut)) for cut in CUTS}
        if shares[CUTS[0]].estimate.count:
            parts = (f"{signed(share, 3)} in {cut}" for cut, share in shares.items())
            told.append(f"{title(first)} minus {title(second)}: {listed(parts)}.")
    return ["Differences of shares, paired by seed:", bullets(told)] if told else []


def random_shares(frame: pd.DataFrame) -> dict[int, float]:
    """Cut -> what a random choice of that many of the candidates keeps: k / n."""
    return {cut: float(min(cut / frame["items"].mean(), 1.0)) for cut in CUTS}
