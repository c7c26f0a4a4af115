"""Ranking in forked processes (gunicorn --preload, multiprocessing's "fork"): a child computes on one thread.

A fork copies the process but not its threads. The OpenMP library of torch still counts on those that it had started for
an earlier product, so that the child's first larger one would wait for them for ever.
"""

from __future__ import annotations

import os

import torch


def _one_thread() -> None:
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_one_thread)
