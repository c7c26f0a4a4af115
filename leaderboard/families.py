"""The kinds of models that a benchmark compares."""

from __future__ import annotations

from model import MODELS
from model.base import TwoTower

OURS = ("int_tower", "hit")  # of the two papers that this repository is about
BASELINE = "dssm"  # what RelaImpr is measured against


def is_two_tower(model: str) -> bool:
    """Whether items can be encoded ahead of time. model: a key of `MODELS`.

    >>> is_two_tower("dssm"), is_two_tower("dcn")
    (True, False)
    """
    return issubclass(MODELS[model].model_class, TwoTower)


def kind(model: str) -> str:
    """As tables name it: "two towers" or "ranking"."""
    return "two towers" if is_two_tower(model) else "ranking"
