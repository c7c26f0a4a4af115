"""The embedding tables of a model, and whether they learn as a whole or row by row."""

from __future__ import annotations

from torch import nn

from foundation.errors import InputError, one_of
from kernels.row_optimizers import ROW_OPTIMIZERS
from model.layers.embedding import FeatureEmbedding

TABLES = (FeatureEmbedding, nn.Embedding)  # modules that hold tables, each in its parameter `weight`
EMBEDDING_OPTIMIZERS = ("dense", "rowwise")
# Numbers in all tables together from which they learn row by row unless asked otherwise (`docs/large_tables.md`).
ROWWISE_FROM = 20_000_000


def tables_of(model: nn.Module) -> list[FeatureEmbedding | nn.Embedding]:
    """The modules that hold tables; without those of dense features alone."""
    modules = [module for module in model.modules() if isinstance(module, TABLES)]
    return [module for module in modules if module.weight.numel()]


def table_size(model: nn.Module) -> int:
    """Numbers in all tables together."""
    return sum(module.weight.numel() for module in tables_of(model))


def choose_embedding_optimizer(model: nn.Module, asked: str | None, optimizer: object) -> str | None:
    """What is asked for, "dense" or "rowwise", else by the size of the tables and by what the optimiser can do.

    None for a model without tables.
    Raises `InputError` for an unknown choice, one without effect, or row-wise steps that the optimiser does not have.
    """
    if asked is not None:
        one_of("embedding_optimizer", asked, EMBEDDING_OPTIMIZERS)
    if not tables_of(model):
        if asked is not None:
            raise InputError(f"embedding_optimizer has no effect on {type(model).__name__}, which has no embeddings.")
        return None
    possible = isinstance(optimizer, str) and optimizer in ROW_OPTIMIZERS
    if asked == "rowwise" and not possible:
        raise InputError(
            f"Row-wise steps are there for the optimizers named {', '.join(ROW_OPTIMIZERS)}. Received: {optimizer!r}."
        )
    return asked or ("rowwise" if possible and table_size(model) >= ROWWISE_FROM else "dense")


def set_row_gradients(model: nn.Module, on: bool) -> list[nn.Parameter]:
    """Whether the tables' gradients are sparse. Returns the tables if so."""
    for module in tables_of(model):
        setattr(module, "sparse" if isinstance(module, nn.Embedding) else "row_gradients", on)
    weights = [module.weight for module in tables_of(model)] if on else []
    return [weight for weight in weights if isinstance(weight, nn.Parameter)]
