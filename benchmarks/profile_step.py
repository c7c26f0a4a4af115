"""Where the time of a training step goes, for each model: by part of the loop, and by kind of operation.

    python -m benchmarks.profile_step [--data_path ...] [--models int_tower ...] [--precision bfloat16_forced] [--write]

Parts are timed in the real `fit`, each without the parts inside it. Kinds are torch's operators, summed over a step
under torch's profiler and scaled to the time of a step without it; "at peak" is what the matrix products would take at
the fastest product seen in this run. The difference of a step to that is what keeps a model from the peak, by name.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections import Counter
from collections.abc import Callable
from unittest import mock

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.sections import machine, narrow_tables, write_section
from benchmarks.training_speed import flops_per_row, our_model, sgemm_peak
from experiment.script import run
from foundation.precisions import precision_name
from kernels import dropout
from model import MODELS
from model.base import CTRModel
from model.layers.embedding import FeatureEmbedding
from preprocessing.dataset import Dataset, Split
from preprocessing.load import load_movielens
from training import trainer
from training.nan_guard import Guard
from training.training_state import EpochProgress

NAMES = [name for name in MODELS if name != "gbdt"]
# Kind -> beginnings of the names of torch's operators.
KINDS = {
    "matrix products": ("mm", "addmm", "bmm", "baddbmm", "mkldnn_linear", "_linear_pointwise"),
    "random numbers": ("random_", "rand", "bernoulli_", "native_dropout"),  # and numpy's, which are timed
    "batch norm": ("native_batch_norm", "batch_norm"),
    "embedding gradients": ("embedding_dense_backward", "scatter_add", "sort", "bincount"),
    "lookups and gathers": ("embedding", "_embedding_bag", "index", "index_select", "gather", "repeat_interleave"),
    "optimiser": ("_fused_",),
    "softmax and maxima": ("max", "amax", "_log_softmax", "_softmax", "scatter", "exp"),
    "copies and casts": ("copy_", "_to_copy", "cat", "stack", "clone", "contiguous"),
}
OTHER = "element-wise and other"
REST = "rest of the loop"
COLUMNS = 7  # of a table, which then fits the page
# (part, owner, name of the function): what is timed.
PLACES = [
    ("gather", Split, "batch"),
    ("embedding", FeatureEmbedding, "forward"),
    ("random numbers", dropout, "random_lanes"),
    ("towers and score", CTRModel, "output"),
    ("loss", CTRModel, "losses"),
    ("backward", Tensor, "backward"),
    ("optimiser", torch.optim.Optimizer, "step"),
    ("guard", Guard, "watch"),
    ("guard", Guard, "check"),
    ("metrics", EpochProgress, "add"),
    ("metrics", trainer, "_summary"),
]
PARTS = [*dict.fromkeys(part for part, _, _ in PLACES), REST]


class Stopwatch:
    """Seconds by part; time spent in a part inside another counts for the inner one alone."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self._inside = [0.0]

    def timed(self, part: str, function: Callable) -> Callable:
        def call(*arguments, **keywords):
            self._inside.append(0.0)
            start = time.perf_counter()
            try:
                return function(*arguments, **keywords)
            finally:
                total = time.perf_counter() - start
                self.seconds[part] += total - self._inside.pop()
                self._inside[-1] += total

        return call


def parts(model: CTRModel, split: Split, batch_size: int, precision: str) -> dict[str, float]:
    """Milliseconds a step of each part of the loop, in one epoch over the split."""
    watch = Stopwatch()
    classes = {CTRModel: type(model), torch.optim.Optimizer: type(model.optim)}  # the method that is called
    with contextlib.ExitStack() as patches:
        for part, place, name in PLACES:
            owner = classes.get(place, place)
            patches.enter_context(mock.patch.object(owner, name, watch.timed(part, getattr(owner, name))))
        fit = watch.timed(REST, model.fit)
        fit(split, batch_size=batch_size, precision=precision, verbose=0)
    steps = len(split) / batch_size
    return {part: 1e3 * seconds / steps for part, seconds in watch.seconds.items()}


def kinds(model: CTRModel, split: Split, batch_size: int, precision: str) -> dict[str, float]:
    """The share of each kind of operator in a step."""
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        model.fit(split, batch_size=batch_size, precision=precision, verbose=0)
    times: Counter[str] = Counter()
    for event in recorded.key_averages():
        library, _, operator = event.key.partition("::")
        if library in ("aten", "mkldnn"):
            times[kind_of(operator)] += event.self_cpu_time_total
    return {kind: seconds / sum(times.values()) for kind, seconds in times.items()}


def kind_of(operator: str) -> str:
    """
    >>> kind_of("addmm"), kind_of("embedding_dense_backward"), kind_of("threshold_backward")
    ('matrix products', 'embedding gradients', 'element-wise and other')
    """
    for kind, beginnings in KINDS.items():
        if operator in beginnings or any(operator.startswith(name) for name in beginnings if len(name) > 4):
            return kind
    return OTHER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--models", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--rows", type=int, default=2048 * 24)
    parser.add_argument("--batch_size", type=int, default=2048)
    parser.add_argument("--precision", type=precision_name, choices=("float32", "bfloat16_forced"), default="float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write the tables to benchmarks/README.md")
    options = parser.parse_args()
    data = Dataset.build(load_movielens(options.data_path), "published", 1023)
    split = data.train.take(torch.arange(min(options.rows, len(data.train))))
    by_part, by_kind, flops, peak = [], [], [], 0.0
    for name in options.models:
        model = our_model(name, data)
        arguments = (model, split, options.batch_size, options.precision)
        parts(*arguments)  # warm
        runs = [parts(*arguments) for _ in range(options.repeats)]
        step = {part: statistics.median(run[part] for run in runs) for part in runs[0]}
        drawing, total = step.get("random numbers", 0.0), sum(step.values())
        spent = {kind: share * (total - drawing) for kind, share in kinds(*arguments).items()}
        spent["random numbers"] = spent.get("random numbers", 0.0) + drawing
        peak = max(peak, sgemm_peak())
        flops.append(flops_per_row(model, split) * options.batch_size)
        by_part.append(
            {"model": name, "step, ms": f"{total:.1f}"} | {part: f"{step.get(part, 0.0):.1f}" for part in PARTS}
        )
        by_kind.append(
            {"model": name, "step, ms": f"{total:.1f}", "at peak": ""}
            | {kind: f"{spent.get(kind, 0.0):.1f}" for kind in (*KINDS, OTHER)}
        )
        print(by_part[-1], by_kind[-1], sep="\n", flush=True)
    for row, work in zip(by_kind, flops, strict=True):
        row["at peak"] = f"{1e3 * work / peak:.1f}"
    head = (
        f"{data.name}, batch {options.batch_size}, {options.precision}, dropout 0.3, {machine()}, "
        f"sgemm {peak / 1e9:.0f} GFLOP/s. Milliseconds a step:"
    )
    first, second = (narrow_tables(rows, keys=1, most=COLUMNS) for rows in (by_part, by_kind))
    text = f"{head}\n\n{first}\n\nThe same steps by kind of operation:\n\n{second}"
    print(text)
    if options.write:
        write_section("profile", text)


if __name__ == "__main__":
    run(main)
