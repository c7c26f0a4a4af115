"""Where a model computes: the constructor's `device` and `gpus`."""

from __future__ import annotations

import torch

from foundation.errors import InputError
from foundation.values import shown


def device_of(given: str | torch.device, gpus: list[int | str | torch.device] | None, named: bool) -> torch.device:
    """The device that is meant.

    given: the constructor's `device`, for gpus=None or [].
    gpus: one GPU by its number or as a device, as in deepctr-torch.
    named: whether `device` was asked for, and is not the default.
    Raises `InputError` for a name that torch does not know, for several GPUs, for a device that is not there, and for
    another one than `device`.

    >>> device_of("cpu", None, named=False)
    device(type='cpu')
    """
    try:
        device = torch.device(given)
    except RuntimeError:
        raise InputError(f"device must be cpu, cuda or cuda:1, for example. Received: {shown(given)}.") from None
    if not gpus:
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise InputError(f"device='{device}' is not there: {torch.cuda.device_count()} CUDA devices. Use the CPU.")
        return device
    if len(gpus) > 1:
        raise InputError(
            f"gpus={shown(gpus)} asks one process to train on several GPUs. Here each GPU has a process of its own: "
            f"start the script with torchrun --nproc_per_node={len(gpus)} (docs/large_tables.md), or name one GPU."
        )
    place = _place(gpus[0])
    if place is None or place.type != "cuda" or (place.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"gpus={shown(gpus)} names no GPU of this machine, which has {torch.cuda.device_count()}. Leave gpus out."
        )
    if named and device not in (place, torch.device(place.type)):
        raise InputError(f"gpus={shown(gpus)} and device='{device}' are two places. Leave one of them out.")
    return place


def _place(gpu: int | str | torch.device) -> torch.device | None:
    try:
        return torch.device("cuda", gpu) if isinstance(gpu, int) else torch.device(gpu)
    except RuntimeError:
        return None
