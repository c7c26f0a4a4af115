"""The tables of speed in the README and in `docs/serving.md`, from the files in `results/speed/` alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leaderboard.entrants import title
from leaderboard.markdown import milliseconds, table
from leaderboard.speed.speeds import WHOLE_REQUESTS

TITLES = {"int_tower": "IntTower (4 heads)", "int_tower 32 heads": "IntTower (32 heads)"}  # with more than one
USUAL_ITEMS = 10_000


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
