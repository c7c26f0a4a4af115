"""A small shop as a folder of CSV files with a `dataset.toml`: what people bring."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

SPEC = """
name = "shop"

[log]
files = "clicks.csv"
user = "customer"
item = "article"
time = "when"
label = "clicked"

[users]
files = "customers.csv"
id = "customer"

[items]
files = "articles.csv"
id = "article"

[kinds]
title = "display"
stock = "ignore"

[separators]
tags = "|"
"""
USERS, ITEMS = 40, 30
# A run of two short epochs.
TRAINING = ("--epoch", "2", "--batch_size", "64", "--embedding_dim", "4", "--device", "cpu", "--no_cache")
SMALL = ("--set", "dnn_hidden_units=[6]")


def write_shop(place: Path, rows: int = 800, spec: str = SPEC) -> Path:
    """Customers and articles of three groups each, and clicks within a group; times are seconds."""
    rng = np.random.default_rng(0)
    place.mkdir(parents=True, exist_ok=True)
    user, item = rng.integers(0, USERS, rows), rng.integers(0, ITEMS, rows)
    clicked = rng.random(rows) < np.where(user % 3 == item % 3, 0.8, 0.2)
    tables = {
        "customers": [("customer", "country"), *((f"c{n}", ("DE", "FR", "")[n % 3]) for n in range(USERS))],
        "articles": [
            ("article", "title", "brand", "price", "tags", "stock"),
            *(
                (100 + n, f"Article {n}", f"brand {n % 3}", 5 + n / 2, ("new|red", "new", "")[n % 3], 1)
                for n in range(ITEMS)
            ),
        ],
        "clicks": [
            ("customer", "article", "when", "clicked"),
            *(
                (f"c{u}", 100 + i, 1_767_225_600 + 60 * n, int(c))
                for n, (u, i, c) in enumerate(zip(user, item, clicked, strict=True))
            ),
        ],
    }
    for name, lines in tables.items():
        with (place / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(lines)
    (place / "dataset.toml").write_text(spec, encoding="utf-8")
    return place
