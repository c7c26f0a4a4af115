"""Seconds and peak memory from raw files to a ready `Dataset`: parsed anew, and from the cache.

    python -m benchmarks.make_taobao taobao-files && python -m benchmarks.load_time taobao taobao-files
    python -m benchmarks.make_amazon amazon-files && python -m benchmarks.load_time amazon amazon-files

Each line is a process of its own. The first writes the cache, in a temporary folder beside the files, and the second
reads it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from preprocessing.protocol import PROTOCOLS


def measure(name: str, folder: Path, protocol: str, cache: Path) -> tuple[float, ...]:
    """-> seconds to import, to read and to build the data set; of them on a processor; peak memory in GB"""
    start = time.perf_counter()
    from preprocessing.dataset import Dataset
    from preprocessing.load import load_amazon, load_taobao

    imported = time.perf_counter()
    load = load_amazon if name == "amazon" else load_taobao
    raw = load(str(folder), cache=cache)
    read = time.perf_counter()
    Dataset.build(raw, protocol, seed=0)
    built = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return imported - start, read - imported, built - read, time.process_time(), peak / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=("amazon", "taobao"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--protocol", choices=PROTOCOLS, default="published")
    options = parser.parse_args()
    print("             read    build   read + build   peak memory   import   processor time of all threads")
    with tempfile.TemporaryDirectory(dir=options.folder) as cache:
        for case in ("cold", "from cache"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
                arguments = (options.dataset, options.folder, options.protocol, Path(cache))
                imported, read, build, processor, peak = process.submit(measure, *arguments).result()
            row = f"{case:10} {read:5.1f} s  {build:5.1f} s {read + build:12.1f} s {peak:10.2f} GB"
            print(f"{row} {imported:7.1f} s {processor:8.1f} s", flush=True)


if __name__ == "__main__":
    main()
