"""What training and serving cost, as the scripts in `benchmarks/` measured it: the files in `results/speed/`, shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from leaderboard.entrants import ENTRANTS, title
from leaderboard.estimates import Estimate
from leaderboard.markdown import decimal_text, milliseconds, table
from leaderboard.results import HONEST, auc_of, read_if_there, runs_by_entrant
from leaderboard.theme import Picture, Theme, marker_of

# What `benchmarks.latency`, `training_speed`, `concurrent_upserts`, `quick_start` wrote, by name: the kind of the JSON.
FILES = {"requests": list, "scoring": list, "million": list, "training": dict, "upserts": dict, "quick_start": dict}
# Of the cases of `requests`: the whole way from a user's features to the best 100. A ranking model has no index.
WHOLE_REQUESTS = ("features to top 100", "all candidates")
PRECISION = "float32"
USUAL_ITEMS = 10_000  # candidates
USUAL = (USUAL_ITEMS, 1)  # and threads
TITLES = {"int_tower": "IntTower (4 heads)", "int_tower 32 heads": "IntTower (32 heads)"}  # with more than one
LABELS = {"below": ((9, -5), "top"), "above": ((9, 4), "bottom")}  # where a name stands beside its point, in points


def read_measurements(folder: Path) -> dict[str, Any]:
    """Name -> content of each file, None without it. folder: `results/speed`. Raises `InputError` for a damaged one."""
    return {name: read_if_there(folder / f"{name}.json", kind) for name, kind in FILES.items()}


@dataclass(frozen=True)
class Speeds:
    """Per model (a key of `MODELS`), at one number of candidates and threads, so that columns can be compared.

    request_ms: median of a whole request. scoring_ms: median of scoring alone. bytes_per_item: of the index. A model
    that was not measured is missing.
    """

    items: int = 0
    threads: int = 0
    bytes_per_item: Mapping[str, int] = field(default_factory=dict)
    scoring_ms: Mapping[str, float] = field(default_factory=dict)
    request_ms: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_measurements(cls, measured: Mapping[str, Any]) -> Speeds:
        """At the setting that most rows share, in doubt the usual. measured: of `read_measurements`."""
        requests = [
            row
            for row in measured["requests"] or []
            if row["case"] in WHOLE_REQUESTS and row["precision"] == PRECISION and row["users"] == 1
        ]
        scoring = [row for row in measured["scoring"] or [] if row["way"] == PRECISION]
        settings = Counter((row["items"], row["threads"]) for row in [*requests, *scoring])
        if not settings:
            return cls()
        items, threads = max(settings, key=lambda setting: (settings[setting], setting == USUAL))
        requests = [row for row in requests if (row["items"], row["threads"]) == (items, threads)]
        scoring = [row for row in scoring if (row["items"], row["threads"]) == (items, threads)]
        return cls(
            items,
            threads,
            {row["model"]: row["bytes_per_item"] for row in requests if "bytes_per_item" in row},
            {row["model"]: row["p50_ms"] for row in scoring},
            {row["model"]: row["p50_ms"] for row in requests},
        )

    def cells(self, model: str) -> tuple[str, str]:
        """Bytes an item, and scoring / request in milliseconds; "" where not measured.

        >>> Speeds(bytes_per_item={"hit": 1293}, scoring_ms={"hit": 0.0911}, request_ms={"lr": 12.3}).cells("hit")
        ('1,293', '0.091 / -')
        >>> Speeds(request_ms={"lr": 12.3}).cells("dssm")
        ('', '')
        """
        size = self.bytes_per_item.get(model)
        times = [milliseconds(held.get(model)) or "-" for held in (self.scoring_ms, self.request_ms)]
        return ("" if size is None else f"{size:,}", " / ".join(times) if set(times) != {"-"} else "")

    @property
    def setting(self) -> str:
        """
        >>> Speeds(10_000, 1).setting, Speeds(1000, 2).setting
        ('10,000 candidates, one thread', '1,000 candidates, 2 threads')
        """
        return f"{self.items:,} candidates, " + ("one thread" if self.threads == 1 else f"{self.threads} threads")


def speed_tables(measured: Mapping[str, Any]) -> dict[str, str]:
    """Marker -> table, "" where it was not measured. measured: of `read_measurements`."""
    requests, scoring, training = (measured[name] for name in ("requests", "scoring", "training"))
    return {
        "training_speed": training_table(training["models"]) if training else "",
        "serving": serving_table(requests, scoring) if requests and scoring else "",
        "requests": requests_table(requests) if requests else "",
    }


def training_table(rows: list[dict]) -> str:
    """Rows/s beside those of the libraries. rows: of `benchmarks.training_speed`."""
    lines = []
    for row in rows:
        speed = row["rows_per_second"]
        cells = [f"{speed[name]:,}" if name in speed else "-" for name in ("fp32", "bf16", "deepctr", "rechub")]
        ratios = [f"{row[name]:.1f}" for name in ("ratio", "ratio_bf16")]
        lines.append([f"{title(row['model'])}, {row['batch']}", *cells, *ratios])
    heads = ["model, batch", "ours", "ours, bf16", "deepctr-torch", "torch-rechub", "ratio to the faster one", "bf16"]
    return table(heads, lines)


def serving_table(requests: list[dict], scoring: list[dict]) -> str:
    """Whole requests and scoring alone, one thread, one user, `USUAL_ITEMS` candidates.

    requests, scoring: rows of the parts of `benchmarks.latency` with these names.
    """
    whole = {row["model"]: row for row in whole_requests(requests, USUAL_ITEMS, 1, "float32")}
    ways = {(row["model"], row["way"]): row["p50_ms"] for row in scoring if row["items"] == USUAL_ITEMS}
    lines = []
    for name, row in whole.items():
        cells = [milliseconds(ways.get((name, way))) for way in ("published", "float32", "bfloat16")]
        size = f"{row['bytes_per_item']:,}" if "bytes_per_item" in row else ""
        lines.append([_title(name), f"{milliseconds(row['p50_ms'])} / {milliseconds(row['p99_ms'])}", *cells, size])
    heads = ["model", "user's features to top 100, p50 / p99", "scoring alone: published", "float32", "bf16"]
    return table([*heads, "bytes an item, float32"], lines)


def requests_table(requests: list[dict]) -> str:
    """p50 / p99 by the number of candidates, p50 with two threads, users a second where a request holds 64 of them."""
    sizes = sorted({row["items"] for row in requests})
    settings = [(items, threads) for items in sizes for threads in (1, 2)]
    found = {
        (row["model"], row["precision"], items, threads): row
        for items, threads in settings
        for row in whole_requests(requests, items, threads)
    }
    many = {
        (row["model"], row["precision"]): row["requests_per_second"]
        for row in requests
        if (row["case"], row["items"], row["threads"]) == ("64 users", USUAL_ITEMS, 1)
    }
    lines = []
    for name, precision in dict.fromkeys(key[:2] for key in found):
        rows = [found.get((name, precision, *setting)) for setting in settings]
        cells = [_times(row) for row in rows]
        rate = many.get((name, precision))
        lines.append([f"{_title(name)}, {precision}", *cells, "" if rate is None else f"{rate:,.0f}"])
    heads = [f"{items:,}{', 2 threads' if threads == 2 else ''}" for items, threads in settings]
    return table(["model, precision", *heads, f"users/s, 64 together, {USUAL_ITEMS:,}"], lines)


def whole_requests(requests: list[dict], items: int, threads: int, precision: str | None = None) -> list[dict]:
    return [
        row
        for row in requests
        if row["case"] in WHOLE_REQUESTS
        and (row["items"], row["threads"], row["users"]) == (items, threads, 1)
        and precision in (None, row["precision"])
    ]


def _times(row: dict | None) -> str:
    """p50 / p99; of two threads p50 alone, as the machine has no third core for whatever else runs."""
    if row is None:
        return ""
    return milliseconds(row["p50_ms"]) + (f" / {milliseconds(row['p99_ms'])}" if row["threads"] == 1 else "")


def _title(name: str) -> str:
    return TITLES.get(name) or title(name)


def latency_picture(runs: pd.DataFrame, speeds: Speeds) -> dict[str, Picture]:
    """Nothing where no model has both an AUC and a time."""
    if not (found := points(runs, speeds)):
        return {}
    return {"auc_latency": Picture(4.4, partial(auc_latency, found=found, setting=speeds.setting))}


def points(runs: pd.DataFrame, speeds: Speeds) -> dict[str, tuple[float, Estimate]]:
    """Name -> milliseconds of a request and test AUC of entrants, for those that have both."""
    times = {name: speeds.request_ms[name] for name in ENTRANTS if name in speeds.request_ms}
    runs = runs_by_entrant(runs)
    pairs = {name: (time, auc_of(runs, HONEST, name)) for name, time in times.items()}
    return {name: (time, auc) for name, (time, auc) in pairs.items() if auc.count}


def auc_latency(figure: Figure, theme: Theme, found: dict[str, tuple[float, Estimate]], setting: str) -> None:
    axis = figure.subplots()
    ordered = sorted(found.items(), key=lambda entry: entry[1][1].mean)
    for place, (name, (time, auc)) in enumerate(ordered):
        color, bar = theme.color_of(name), np.nan_to_num(auc.half_width)
        axis.errorbar(time, auc.mean, yerr=bar, fmt=marker_of(name), color=color, ms=8, elinewidth=1.6, zorder=3)
        offset, align = LABELS["above" if place % 2 else "below"]  # in turn, so that neighbours' names stay apart
        axis.annotate(title(name), (time, auc.mean), offset, textcoords="offset points", color=color, va=align)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda value, _: decimal_text(value, 2))
    axis.set_xlabel(f"median of a whole request in ms: {setting}")
    axis.set_ylabel(f"test AUC ({HONEST}), 95 % intervals")
    axis.margins(0.15)
    axis.grid()
    handles = theme.families()
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
