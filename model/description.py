"""What a model says of itself to whoever prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.base import CTRModel


def describe(model: CTRModel) -> str:
    """A line: class, size, features, where it is, and whether it is trained."""
    sides = [(f"{side} features", getattr(model, f"{side}_columns", ())) for side in ("user", "item")]
    counted = sides if all(columns for _, columns in sides) else [("features", model.columns)]
    parts = [f"{model.num_parameters:,} parameters", *(f"{len(columns)} {what}" for what, columns in counted)]
    sizes = sorted({getattr(column, "embedding_dim", 0) for column in model.columns} - {0})
    if sizes and "embedding_dim" not in type(model).without_effect:
        parts.append(f"embeddings of {' to '.join(map(str, dict.fromkeys((sizes[0], sizes[-1]))))}")
    known = model.encoding is not None if model.history is None else bool(model.history.epoch)
    state = "trained" if known else "not compiled" if model.optim is None else "not trained"
    return f"{type(model).__name__}: {', '.join(parts)}, on {model.device}; {state}"
