"""Timing of contenders in turn, so that whatever else the machine does hits all of them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

SHARES = (50, 95, 99)
BURST = 5


def seconds(actions: dict[str, Callable[[], object]], budget: float, most: int = 1000) -> dict[str, np.ndarray]:
    """Times of each action for about `budget` seconds altogether, `BURST` calls of one after as many of another.

    The first call of a burst is not counted: it finds the caches full of what the others left there.
    """
    for action in actions.values():
        action()
    times: dict[str, list[float]] = {name: [] for name in actions}
    end = time.perf_counter() + budget
    while (time.perf_counter() < end and len(next(iter(times.values()))) < most) or len(next(iter(times.values()))) < 5:
        for name, action in actions.items():
            action()
            for _ in range(BURST):
                start = time.perf_counter()
                action()
                times[name].append(time.perf_counter() - start)
    return {name: np.array(values) for name, values in times.items()}


def percentiles(times: np.ndarray) -> dict[str, float]:
    """p50_ms, p95_ms, p99_ms"""
    return {f"p{share}_ms": round(float(np.percentile(times, share)) * 1e3, 4) for share in SHARES}


def square_product(size: int = 1024) -> tuple[Callable[[], object], float]:
    """A float32 product of two square matrices, the machine's peak when timed beside others, and its FLOPs."""
    a, b, result = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    return lambda: torch.mm(a, b, out=result), 2.0 * size**3
