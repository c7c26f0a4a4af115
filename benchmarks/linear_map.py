"""A linear map's training step through oneDNN beside torch's own product: milliseconds, for the sizes of the towers.

    python -m benchmarks.linear_map [--batch_size 2048] [--threads 1]

Forward and backward pass, in turn in one run; ratios are of medians. Why: `kernels/linear.py`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from benchmarks.sections import machine, table
from benchmarks.timing import seconds
from experiment.script import run
from kernels.linear import Linear

# Inputs and outputs: both papers' towers on MovieLens, and IntTower's projections with 4 and 32 heads of 64.
SIZES = ((161, 300), (300, 300), (300, 128), (300, 256), (300, 2048), (304, 304))


def step(layer: nn.Module, rows: int) -> Callable[[], object]:
    x = torch.randn(rows, layer.in_features, requires_grad=True)
    upstream = torch.randn(rows, layer.out_features)
    return lambda: torch.autograd.grad(layer(x), [x, *layer.parameters()], upstream)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring a size")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for inputs, outputs in SIZES:
        layers = {"nn.Linear": nn.Linear, "ours": Linear}
        actions = {name: step(kind(inputs, outputs, bias=False), options.batch_size) for name, kind in layers.items()}
        ms = {name: float(np.median(times)) * 1e3 for name, times in seconds(actions, options.seconds).items()}
        cells = {name: f"{value:.2f} ms" for name, value in ms.items()}
        rows.append({"sizes": f"{inputs} -> {outputs}", **cells, "ratio": f"{ms['nn.Linear'] / ms['ours']:.2f}"})
    print(f"Batch {options.batch_size}, {machine()}.\n\n{table(rows)}")


if __name__ == "__main__":
    run(main)
