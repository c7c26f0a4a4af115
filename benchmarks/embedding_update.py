"""What an embedding update costs on tables of Taobao's size, dense and row by row, and how fast DSSM trains with it.

    python -m benchmarks.embedding_update [--rows 1000000] [--json ...]

Update: the tables of both sides, 2.7 million rows of 32 numbers, learn from the same batches in turn: as published,
with torch's default Adam and l2 over all tables as a term of the loss; dense as here, with fused Adam and l2 as weight
decay; and row-wise, with l2 on the rows of the batch. "step" is the optimiser alone; "gradient and step" adds the
backward pass of the lookup, which for a dense update fills a gradient as large as the tables, and the l2 term. Epoch:
one epoch of DSSM with row-wise updates through the training loop. The interactions are random (skewed towards popular
users and ads), since only their number and spread count here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiment.script import run
from foundation.feature_columns import Column, FeatureColumns
from foundation.features import Features
from model import build_model
from model.base import CTRModel
from model.layers.embedding import FeatureEmbedding
from model.layers.embedding_optimizer import EMBEDDING_OPTIMIZERS
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData, Schema

# Distinct values in the published files.
USER_SIZES = {
    "userid": 1_061_768,
    "cms_segid": 97,
    "cms_group_id": 13,
    "final_gender_code": 2,
    "age_level": 7,
    "pvalue_level": 4,
    "shopping_level": 3,
    "occupation": 2,
    "new_user_class_level": 5,
}
ITEM_SIZES = {
    "adgroup_id": 846_811,
    "cate_id": 12_960,
    "campaign_id": 423_436,
    "customer": 255_875,
    "brand": 99_815,
}
SCHEMA = Schema(
    user_id="userid",
    item_id="adgroup_id",
    user_sparse=tuple(USER_SIZES),
    item_sparse=tuple(ITEM_SIZES),
    item_dense=("price",),
    user_statistic="user_mean_click",
    item_statistic="item_mean_click",
)
PUBLISHED = "published"
UPDATES = (PUBLISHED, *EMBEDDING_OPTIMIZERS)
DIM, BATCH, L2, BLOCK = 32, 2048, 1e-5, 10


def make_dataset(rows: int, seed: int = 0) -> Dataset:
    """Entity tables of the published sizes and `rows` interactions of them."""
    rng = np.random.default_rng(seed)

    def entities(sizes: dict[str, int]) -> pd.DataFrame:
        count = next(iter(sizes.values()))
        return pd.DataFrame(
            {
                name: rng.permutation(count) if size == count else rng.integers(0, size, count)
                for name, size in sizes.items()
            }
        )

    def skewed(count: int) -> np.ndarray:
        return (count * rng.random(rows) ** 2).astype(np.int32)

    users, items = entities(USER_SIZES), entities(ITEM_SIZES)
    items["price"] = rng.lognormal(4, 1, len(items))
    raw = RawData(
        name="taobao-sized",
        fingerprint="",
        schema=SCHEMA,
        users=users,
        items=items,
        user=skewed(len(users)),
        item=skewed(len(items)),
        label=(rng.random(rows) < 0.05).astype(np.float32),
        timestamp=rng.integers(0, 8 * 86_400, rows),
    )
    return Dataset.build(raw, "holdout", seed)


def full_size(columns: FeatureColumns) -> FeatureColumns:
    """Tables for every user and ad, seen in these rows or not; id 0 is reserved."""
    sizes = USER_SIZES | ITEM_SIZES

    def enlarge(column: Column) -> Column:
        return column._replace(vocabulary_size=sizes[column.name] + 1) if column.name in sizes else column

    return FeatureColumns([enlarge(column) for column in columns.user], [enlarge(column) for column in columns.item])


def time_updates(data: Dataset, columns: FeatureColumns, steps: int) -> dict[str, dict[str, float]]:
    """Median milliseconds a step, by update and part; in turn, a block of batches each."""
    split, order = data.train, torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
    names = [column.name for column in columns.all]
    batches = [split.batch(rows, names) for rows in order[: steps * BATCH].split(BATCH)]
    models = {update: build_model("dssm", columns, l2_reg_embedding=L2) for update in UPDATES}
    for update, model in models.items():
        if update == PUBLISHED:
            model.compile(torch.optim.Adam(model.parameters(), lr=1e-3))
        else:
            model.compile("adam", lr=1e-3, embedding_optimizer=update)
    times = {update: {"step": [], "gradient and step": []} for update in UPDATES}
    for start in range(0, len(batches), BLOCK):
        for update, model in models.items():
            # The first step of a block finds the other's tables in the caches, and the very first makes the moments.
            block = [time_update(model, batch, update == PUBLISHED) for batch in batches[start : start + BLOCK]][1:]
            times[update]["step"] += [step for _, step in block]
            times[update]["gradient and step"] += [gradient + step for gradient, step in block]
    return {update: {part: statistics.median(ms) for part, ms in parts.items()} for update, parts in times.items()}


def time_update(model: CTRModel, batch: Features, l2_in_loss: bool) -> tuple[float, float]:
    """Milliseconds of the lookup's backward pass and of the optimiser; the towers have no gradients and stay."""
    sides = [side for side in model.modules() if isinstance(side, FeatureEmbedding)]
    fields = [side(batch)[0] for side in sides]
    upstream = [torch.randn_like(field) for field in fields]
    model.optim.zero_grad()
    start = time.perf_counter()
    penalties = [L2 * side.weight.square().sum() for side in sides] if l2_in_loss else []
    torch.autograd.backward([*fields, *penalties], [*upstream, *map(torch.ones_like, penalties)])
    middle = time.perf_counter()
    model.optim.step()
    return 1e3 * (middle - start), 1e3 * (time.perf_counter() - middle)


def time_epoch(data: Dataset, columns: FeatureColumns) -> float:
    """Rows a second of one epoch of DSSM through the training loop."""
    model = build_model("dssm", columns, l2_reg_embedding=L2)
    model.compile("adam", lr=1e-3, embedding_optimizer="rowwise")
    return model.fit(data.train, batch_size=BATCH, epochs=1, verbose=0).history["rows_per_second"][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="interactions, of which 64 %% train")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    data = make_dataset(options.rows)
    columns = full_size(data.feature_columns(DIM))
    times = time_updates(data, columns, options.steps)
    print(f"{torch.get_num_threads()} threads, batch {BATCH}, milliseconds a step")
    print(f"{'':20}{'published':>12}{'dense':>12}{'rowwise':>12}")
    for part, rowwise in times["rowwise"].items():
        others = (f"{ms:.0f} ({ms / rowwise:.0f} x)" for ms in (times[PUBLISHED][part], times["dense"][part]))
        print(f"{part:20}{''.join(f'{text:>12}' for text in others)}{rowwise:12.1f}")
    speed = time_epoch(data, columns)
    print(f"one epoch of DSSM, row-wise, {len(data.train):,} rows: {speed:,.0f} rows/s")
    if options.json:
        options.json.write_text(
            json.dumps({"milliseconds": times, "rows_per_second": round(speed)}, indent=1) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    run(main)
