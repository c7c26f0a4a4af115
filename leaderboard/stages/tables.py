"""How much of a ranking model's best each model lets through, from `stages.json` and the runs."""

from __future__ import annotations

import pandas as pd

from leaderboard.entrants import OURS, SHOWN_VARIANTS, is_two_tower, kind, model_of, title
from leaderboard.estimates import Estimate, compare
from leaderboard.markdown import decimal_text, difference_text, estimate_text, table
from leaderboard.results import runs_by_entrant
from leaderboard.stages.agreement import CUTS, TOP
from leaderboard.stages.measure import best_ranker


def stage_frame(entries: list[dict], runs: pd.DataFrame) -> pd.DataFrame:
    """One row an entry of `stages.json` that is about the runs at hand: its keys, survivors by cut as "200", ...

    An entry is left out if its model or ranker was run again since, or another ranking model is the best by now.
    """
    measured = runs_by_entrant(runs).set_index(["protocol", "seed", "model"])
    rankers = {
        place: best_ranker(own.droplevel(["protocol", "seed"]).dropna().to_dict())
        for place, own in measured["validation_auc"].groupby(["protocol", "seed"])
    }

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


def stage_table(frame: pd.DataFrame) -> str:
    """One row a model of one protocol, two-tower models first, those that let the most through first among them.

    frame: of `stage_frame`.
    """
    survivors = frame.groupby("model")[str(CUTS[0])].mean()
    rows = []
    for name in sorted(survivors.index, key=lambda name: (not is_two_tower(name), -survivors[name])):
        own = frame[frame["model"] == name]
        cells = [estimate_text(Estimate.from_values(own[column]), 3) for column in (*map(str, CUTS), "spearman")]
        rows.append([title(name), kind(name), *cells, str(len(own))])
    rows.append(["random choice", "", *(decimal_text(share, 3) for share in random_shares(frame).values()), "0", ""])
    heads = ["model", "kind", *(f"top {TOP} in {cut}" for cut in CUTS), "Spearman", "seeds"]
    return table(heads, rows)


def rankers_table(frame: pd.DataFrame) -> str:
    """Which model was the ranker for which seeds. frame: of `stage_frame`, of one protocol."""
    seeds = frame.drop_duplicates(["ranker", "seed"]).groupby("ranker")["seed"].apply(sorted)
    return table(["ranker", "seeds"], [[title(name), ", ".join(map(str, own))] for name, own in seeds.items()])


def differences_table(frame: pd.DataFrame) -> str:
    """Shares of IntTower minus those of HIT, both with one head, too, and of each shown variant minus its model's.

    Over the seeds that both have, paired; "" without any. frame: of `stage_frame`, of one protocol.
    """
    rows = []
    for first, second in (OURS, tuple(SHOWN_VARIANTS), *((name, model_of(name)) for name in SHOWN_VARIANTS)):
        shares = [compare(frame, first, second, metric=str(cut)) for cut in CUTS]
        if shares[0].estimate.count:
            rows.append([f"{title(first)} minus {title(second)}", *(difference_text(share, 3) for share in shares)])
    return table(["difference of shares", *(f"top {TOP} in {cut}" for cut in CUTS)], rows)


def random_shares(frame: pd.DataFrame) -> dict[int, float]:
    """Cut -> what a random choice of that many of the candidates keeps: k / n."""
    return {cut: float(min(cut / frame["items"].mean(), 1.0)) for cut in CUTS}
