"""What a benchmark compares: the models, and those variants of them that stand beside the models in tables.

Such a variant is trained, tested, measured and timed like a model. Tuning, calibration, the audit and the papers'
numbers are of default settings alone.
"""

from __future__ import annotations

import math

from model import MODELS
from model.base import TwoTower

OURS = ("int_tower", "hit")  # of the two papers that this repository is about
BASELINE = "dssm"  # what RelaImpr is measured against
ONE_HEAD = "heads_1"  # the variant of an ablation: no maximum over heads is left, a score is a plain inner product
SHOWN_VARIANTS = {f"{model} 1 head": (model, ONE_HEAD) for model in OURS}
# The names of all that is measured like a model: a model's key, then its shown variant.
ENTRANTS = [
    name for model in MODELS for name in (model, *(name for name, of in SHOWN_VARIANTS.items() if of[0] == model))
]


def entrant(model: str, variant: str = "") -> str | None:
    """The name of a model with these settings among `ENTRANTS`, None for a variant that is not shown as a model.

    >>> entrant("hit"), entrant("hit", "heads_1"), entrant("hit", "heads_3")
    ('hit', 'hit 1 head', None)
    """
    if not variant:
        return model
    return next((name for name, pair in SHOWN_VARIANTS.items() if pair == (model, variant)), None)


def model_of(name: str) -> str:
    """The key of `MODELS` behind one of `ENTRANTS`.

    >>> model_of("hit 1 head"), model_of("dssm")
    ('hit', 'dssm')
    """
    return SHOWN_VARIANTS[name][0] if name in SHOWN_VARIANTS else name


def title(name: str) -> str:
    """As tables name one of `ENTRANTS`.

    >>> title("int_tower"), title("int_tower 1 head")
    ('IntTower', 'IntTower (1 head)')
    """
    return MODELS[model_of(name)].title + (" (1 head)" if name in SHOWN_VARIANTS else "")


def paper_auc(name: str, dataset: str) -> float:
    """What the paper gives one of `ENTRANTS` on a data set; NaN without such a number, and for variants.

    >>> paper_auc("int_tower", "ml-1m"), paper_auc("int_tower 1 head", "ml-1m"), paper_auc("gbdt", "ml-1m")
    (0.8974, nan, nan)
    """
    return MODELS[name].paper.get(dataset, (math.nan,))[0] if name in MODELS else math.nan


def is_two_tower(name: str) -> bool:
    """Whether items can be encoded ahead of time. name: of `ENTRANTS`."""
    return issubclass(MODELS[model_of(name)].model_class, TwoTower)


def kind(name: str) -> str:
    """As tables name it: "two towers" or "ranking"."""
    return "two towers" if is_two_tower(name) else "ranking"
