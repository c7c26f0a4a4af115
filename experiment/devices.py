"""Which device is meant by `--device`."""

from __future__ import annotations

import torch

from experiment import torchrun
from foundation.errors import InputError


def chosen_device(name: str) -> str:
    """Under torchrun each process has its own, by its number on this machine. Raises `InputError` for one that is not
    there."""
    place = torchrun.local_rank()
    if place is not None and torch.cuda.is_available() and name != "cpu":
        if name not in ("auto", "cuda"):
            raise InputError(f"Under torchrun each process takes the GPU of its number. Received: --device {name}.")
        if place >= torch.cuda.device_count():
            raise InputError(
                f"There are more processes than the {torch.cuda.device_count()} CUDA devices of this machine. "
                "Lower --nproc_per_node, or use --device cpu."
            )
        return f"cuda:{place}"
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise InputError(f"Unknown device '{name}'. Known: auto, cpu, cuda, cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"Device '{name}' is not there: {torch.cuda.device_count()} CUDA devices. Use --device auto.")
    return name
