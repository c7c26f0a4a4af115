"""How much of a ranking model's best each model lets through, from `stages.json` and the runs: tables and a picture."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from leaderboard.entrants import ENTRANTS, OURS, SHOWN_VARIANTS, is_two_tower, kind, model_of, title
from leaderboard.estimates import Estimate, compare
from leaderboard.markdown import (
    PROTOCOL_TITLES,
    decimal_text,
    difference_text,
    estimate_text,
    one_below_the_other,
    seeds_text,
    table,
)
from leaderboard.results import HONEST, runs_by_entrant
from leaderboard.stages.agreement import CUTS, TOP
from leaderboard.stages.measure import best_ranker
from leaderboard.theme import Picture, Theme
from preprocessing.protocol import PROTOCOLS

SIZES = (5, 7, 9)  # of the marks of the three cuts


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
    """One row a model of one protocol, two-tower models first, those that let the most through first among them; then
    of how many seeds each is.

    frame: of `stage_frame`.
    """
    survivors = frame.groupby("model")[str(CUTS[0])].mean()
    rows = []
    for name in sorted(survivors.index, key=lambda name: (not is_two_tower(name), -survivors[name])):
        own = frame[frame["model"] == name]
        cells = [estimate_text(Estimate.from_values(own[column]), 3) for column in (*map(str, CUTS), "spearman")]
        rows.append([title(name), kind(name), *cells])
    rows.append(["random choice", "", *(decimal_text(share, 3) for share in random_shares(frame).values()), "0"])
    heads = ["model", "kind", *(f"top {TOP} in {cut}" for cut in CUTS), "Spearman"]
    counts = {title(name): len(frame[frame["model"] == name]) for name in survivors.index}
    return one_below_the_other(table(heads, rows), seeds_text(counts))


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


def survivors_picture(runs: pd.DataFrame, entries: list[dict]) -> dict[str, Picture]:
    """Nothing without a two-tower model among the entries of `stages.json`."""
    frame = stage_frame(entries, runs)
    frame = frame[frame["model"].isin([name for name in ENTRANTS if is_two_tower(name)])]
    height = 1.7 + 0.3 * frame["model"].nunique()
    return {"survivors": Picture(height, partial(survival, frame=frame))} if len(frame) else {}


def survival(figure: Figure, theme: Theme, frame: pd.DataFrame) -> None:
    """A panel a protocol, a row a two-tower model: the share of the ranker's top 100 among its best 200, 400, 800."""
    protocols = [protocol for protocol in PROTOCOLS if protocol in set(frame["protocol"])]
    axes = figure.subplots(1, len(protocols), sharey=True, squeeze=False)[0]
    first = protocols[-1] if HONEST not in protocols else HONEST
    shares = frame[frame["protocol"] == first].groupby("model")[str(CUTS[0])].mean()
    order = sorted(set(frame["model"]), key=lambda name: shares.get(name, 0.0))
    for axis, protocol in zip(axes, protocols, strict=True):
        own = frame[frame["protocol"] == protocol]
        rows = {"": {cut: Estimate(share, float("nan"), 1) for cut, share in random_shares(own).items()}}
        for name in order:
            of_model = own[own["model"] == name]
            rows[name] = {cut: Estimate.from_values(of_model[str(cut)]) for cut in CUTS} if len(of_model) else {}
        for place, (name, points) in enumerate(rows.items()):
            _dots(axis, theme, place, points, theme.color_of(name) if name else theme.ink)
        axis.set_title(PROTOCOL_TITLES[protocol].replace("`", ""))
        axis.set_xlim(0, 1.04)
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
        axis.grid(axis="x")
        axis.set_ylim(-0.5, len(order) + 0.5)
        axis.set_yticks(range(len(order) + 1), ["random choice", *(title(name) for name in order)])
        axis.tick_params(left=False)
        axis.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], marker="o", ms=size, linestyle="", color=theme.ink, label=f"top {cut}")
        for size, cut in zip(SIZES, CUTS, strict=True)
    ]
    share = f"share of the ranker's top {TOP} that is among the model's own"
    figure.legend(handles=handles, title=share, loc="outside lower center", ncols=len(handles), frameon=False)


def _dots(axis: Axes, theme: Theme, place: int, points: dict[int, Estimate], color: str) -> None:
    axis.plot([point.mean for point in points.values()], [place] * len(points), color=theme.faint, lw=2, zorder=1)
    for size, point in zip(SIZES, points.values(), strict=False):
        bar = np.nan_to_num(point.half_width)
        axis.errorbar(point.mean, place, xerr=bar, fmt="o", ms=size, color=color, elinewidth=1.5, zorder=3)
