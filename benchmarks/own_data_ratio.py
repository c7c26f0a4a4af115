"""Taobao's files through a `dataset.toml` beside their own reader: seconds and peak memory, as ratios.

    python -m benchmarks.make_taobao taobao-files && python -m benchmarks.own_data_ratio taobao-files

The files are first written as parquet into a temporary folder beside them. Each measurement is a process of its own,
the two readers in turn, and the best of each counts: a machine that does other things is slower, never faster.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

LIMIT = 1.3  # times the own reader's
READERS = ("taobao.read", "dataset.toml")
TABLES = ("raw_sample", "ad_feature", "user_profile")
SPEC = """
[log]
files = "raw_sample.parquet"
user = "user"
item = "adgroup_id"
time = "time_stamp"
label = "clk"

[users]
files = "user_profile.parquet"
id = "userid"

[items]
files = "ad_feature.parquet"
id = "adgroup_id"

[kinds]
nonclk = "ignore"

[sides]
pid = "item"
"""


def write_parquet(source: Path, folder: Path) -> None:
    """The tables as parquet, and their `dataset.toml`."""
    missing = arrow_csv.ConvertOptions(null_values=["", "NULL"])
    for name in TABLES:
        batches = arrow_csv.open_csv(source / f"{name}.csv", convert_options=missing)
        with batches, pq.ParquetWriter(folder / f"{name}.parquet", batches.schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
    (folder / "dataset.toml").write_text(SPEC, encoding="utf-8")


def measure(reader: str, folder: Path, protocol: str) -> tuple[float, ...]:
    """-> seconds to read and to build the data set, of them on a processor, and peak memory after either in GB"""
    from preprocessing import taobao
    from preprocessing.dataset import Dataset
    from preprocessing.own_data import load_own

    start, processor = time.perf_counter(), time.process_time()
    raw = taobao.read(folder) if reader == READERS[0] else load_own(folder)
    read = time.perf_counter()
    after_reading = _peak()
    # Taobao's own schema has neither statistics nor a history.
    schema = replace(raw.schema, user_statistic=None, item_statistic=None, history=None)
    Dataset.build(replace(raw, schema=schema), protocol, seed=0)
    built = time.perf_counter()
    return read - start, built - read, time.process_time() - processor, after_reading, _peak()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--protocol", choices=("holdout", "temporal"), default="holdout")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as parquet:
        write_parquet(options.folder, Path(parquet))
        found: dict[str, list[tuple[float, ...]]] = {reader: [] for reader in READERS}
        for _ in range(options.repeats):
            for reader, folder in zip(READERS, (options.folder, Path(parquet)), strict=True):
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                    found[reader].append(process.submit(measure, reader, folder, options.protocol).result())
    best = {reader: [min(values) for values in zip(*runs, strict=True)] for reader, runs in found.items()}
    print("                 read     build   processor   peak when read   peak when built")
    for reader, (read, build, processor, first, last) in best.items():
        print(f"{reader:13} {read:5.1f} s   {build:5.1f} s {processor:9.1f} s {first:13.2f} GB {last:14.2f} GB")
    ratios = [other / own for own, other in zip(*best.values(), strict=True)]
    print(f"{'ratio':13} {ratios[0]:7.2f}   {ratios[1]:7.2f} {ratios[2]:11.2f} {ratios[3]:16.2f} {ratios[4]:17.2f}")
    print(f"within {LIMIT}: {'yes' if max(ratios) <= LIMIT else 'no'}")


if __name__ == "__main__":
    main()
