"""What training and serving cost, as the scripts in `benchmarks/` measured it: the files in `results/speed/`, shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.entrants import title
from leaderboard.markdown import JOINED, milliseconds, one_below_the_other, table
from leaderboard.results import read_if_there

# What `benchmarks.latency`, `training_speed`, `concurrent_upserts`, `quick_start` wrote, by name: the kind of the JSON.
FILES = {"requests": list, "scoring": list, "million": list, "training": dict, "upserts": dict, "quick_start": dict}
# Of the cases of `requests`: the whole way from a user's features to the best 100. A ranking model has no index.
WHOLE_REQUESTS = ("features to top 100", "all candidates")
PRECISION = "float32"
USUAL_ITEMS = 10_000  # candidates
USUAL = (USUAL_ITEMS, 1)  # and threads
TITLES = {"int_tower": "IntTower (4 heads)", "int_tower 32 heads": "IntTower (32 heads)"}  # with more than one


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
        lines.append([_title(name), _two(row), *cells, size])
    heads = ["model", "user's features to top 100, p50 / p99", "scoring alone: published", "float32", "bf16"]
    return table([*heads, "bytes an item, float32"], lines)


def requests_table(requests: list[dict]) -> str:
    """p50 / p99 by the number of candidates, and users a second where a request holds 64 of them; then p50 with two
    threads, as the machine has no third core for whatever else runs."""
    many = {
        (row["model"], row["precision"]): f"{row['requests_per_second']:,.0f}"
        for row in requests
        if (row["case"], row["items"], row["threads"]) == ("64 users", USUAL_ITEMS, 1)
    }
    one = _by_items(requests, 1, f"users/s, 64 together, {USUAL_ITEMS:,}", many)
    return one_below_the_other(one, _by_items(requests, 2))


def _by_items(requests: list[dict], threads: int, last_head: str = "", last: Mapping[tuple, str] | None = None) -> str:
    sizes = sorted({row["items"] for row in requests})
    found = {
        (row["model"], row["precision"], items): _two(row) if threads == 1 else milliseconds(row["p50_ms"])
        for items in sizes
        for row in whole_requests(requests, items, threads)
    }
    lines = []
    for key in dict.fromkeys(key[:2] for key in found):
        cells = [found.get((*key, items), "") for items in sizes]
        lines.append([f"{_title(key[0])}, {key[1]}", *cells, (last or {}).get(key, "")])
    first = "one thread" if threads == 1 else f"{threads} threads"
    return table([first, *(f"{items:,}" for items in sizes), last_head], lines)


def whole_requests(requests: list[dict], items: int, threads: int, precision: str | None = None) -> list[dict]:
    return [
        row
        for row in requests
        if row["case"] in WHOLE_REQUESTS
        and (row["items"], row["threads"], row["users"]) == (items, threads, 1)
        and precision in (None, row["precision"])
    ]


def _two(row: dict) -> str:
    """p50 / p99, on one line."""
    return f"{milliseconds(row['p50_ms'])}{JOINED}/{JOINED}{milliseconds(row['p99_ms'])}"


def _title(name: str) -> str:
    return TITLES.get(name) or title(name)
