"""Functions that people edit and that a model's scores hang on: whether they are still what this repository has."""

from __future__ import annotations

from model.base import CTRModel

AS_SHIPPED = {"fe_score": "5970db2d71f1f099"}  # name -> version (`model.editable.version_of`)


def edited_functions(model: CTRModel) -> str:
    """Those of the model that were edited, each with the beginning of its version: "fe_score-01234567"; "" for none."""
    changed = [name for name, version in model.editable.items() if AS_SHIPPED.get(name, version) != version]
    return ",".join(f"{name}-{model.editable[name][:8]}" for name in changed)
