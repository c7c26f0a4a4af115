"""A process that opens an index and ranks 1,000 random candidates: seconds of both, and what of the file is resident.

python -m benchmarks.index_reader RUN ITEMS      for `benchmarks.latency million`: item ids from 1 to ITEMS
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from serving.manifest import index_folder
from serving.ranker import PreRanker
from serving.section_file import SectionFile


def resident(name: str) -> int:
    """Bytes of mapped files of this name that the process has resident."""
    inside, total = False, 0
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split(" ", 1)[0]:
            inside = name in line
        elif inside and line.startswith("Rss:"):
            total += int(line.split()[1]) * 1024
    return total


def main() -> None:
    run, items = Path(sys.argv[1]), int(sys.argv[2])
    torch.set_num_threads(1)
    base = next(index_folder(run).glob("base-*"))
    start = time.perf_counter()
    size = SectionFile(base).size
    opened = time.perf_counter() - start
    ranker = PreRanker.load(run)
    candidates = np.random.default_rng(0).permutation(items)[:1000] + 1
    start = time.perf_counter()
    ranker.rank(7, candidates)
    print(opened, time.perf_counter() - start, resident(base.name), size)


if __name__ == "__main__":
    main()
