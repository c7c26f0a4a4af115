"""`--precision`: float32, or the forward and backward pass in bfloat16 where that is faster."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from foundation.errors import InputError
from foundation.precisions import precision_name
from training.protocols import Trainable

SMALLEST = 32  # a matrix product with a smaller side gains nothing


def autocast(model: Trainable, precision: str) -> contextlib.AbstractContextManager:
    """The context of one forward pass in this precision. Weights, losses and metrics stay float32."""
    return torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=precision_name(precision) != "float32")


def require_precision(model: Trainable, precision: str) -> None:
    """Raises `InputError` for bfloat16 where it is unsupported or slower; "bfloat16_forced" is let through."""
    if precision_name(precision) == "bfloat16" and (reason := why_not_bfloat16(model)):
        raise InputError(
            f"bfloat16 would be slower here: {reason}. Use float32, or bfloat16_forced to train with it anyway."
        )


def why_not_bfloat16(model: Trainable) -> str | None:
    """The reason, None if bfloat16 is worth while."""
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not any(min(layer.weight.shape) >= SMALLEST for layer in layers):
        return f"{type(model).__name__} has no matrix product that is large enough to gain"
    if model.device.type == "cuda":
        supported = torch.cuda.is_bf16_supported(including_emulation=False)
        return None if supported else f"the GPU {torch.cuda.get_device_name(model.device)} has no bfloat16 arithmetic"
    known = torch.cpu.get_capabilities()
    supported = any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16"))
    return None if supported else "this processor has neither AVX512-BF16 nor AMX, and torch emulates bfloat16"
