"""What a benchmark compares: models, the kinds of them, and the forms in which some would be served instead."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model import MODELS
from model.base import TwoTower

OURS = ("int_tower", "hit")  # of the two papers that this repository is about
BASELINE = "dssm"  # what RelaImpr is measured against
ONE_HEAD = "heads_1"  # the variant of an ablation: no maximum over heads is left, a score is a plain inner product


@dataclass(frozen=True)
class Form:
    """A variant that is trained, tested, measured and timed like a model, and stands beside the models in tables.

    Tuning, calibration, the audit and the papers' numbers are of default settings alone.
    """

    title: str
    model: str
    variant: str


FORMS = {f"{model} 1 head": Form(f"{MODELS[model].title} (1 head)", model, ONE_HEAD) for model in OURS}
# Whatever is measured like a model, each form behind its model.
ENTRANTS = [name for model in MODELS for name in (model, *(form for form in FORMS if FORMS[form].model == model))]


def entrant(model: str, variant: str = "") -> str | None:
    """The name of a model with these settings among `ENTRANTS`, None for a variant that is no form.

    >>> entrant("hit"), entrant("hit", "heads_1"), entrant("hit", "heads_3")
    ('hit', 'hit 1 head', None)
    """
    if not variant:
        return model
    return next((name for name, form in FORMS.items() if (form.model, form.variant) == (model, variant)), None)


def model_of(name: str) -> str:
    """The key of `MODELS` behind one of `ENTRANTS`.

    >>> model_of("hit 1 head"), model_of("dssm")
    ('hit', 'dssm')
    """
    return FORMS[name].model if name in FORMS else name


def title(name: str) -> str:
    """As tables and sentences name one of `ENTRANTS`.

    >>> title("int_tower"), title("int_tower 1 head")
    ('IntTower', 'IntTower (1 head)')
    """
    return FORMS[name].title if name in FORMS else MODELS[name].title


def paper_auc(name: str, dataset: str) -> float:
    """What the paper gives one of `ENTRANTS` on a data set; NaN without such a number, and for forms.

    >>> paper_auc("int_tower", "ml-1m"), paper_auc("int_tower 1 head", "ml-1m"), paper_auc("gbdt", "ml-1m")
    (0.8974, nan, nan)
    """
    return MODELS[name].paper.get(dataset, (math.nan,))[0] if name in MODELS else math.nan


def is_two_tower(name: str) -> bool:
    """Whether items can be encoded ahead of time. name: of `ENTRANTS`.

    >>> is_two_tower("dssm"), is_two_tower("hit 1 head"), is_two_tower("dcn")
    (True, True, False)
    """
    return issubclass(MODELS[model_of(name)].model_class, TwoTower)


def kind(name: str) -> str:
    """As tables name it: "two towers" or "ranking"."""
    return "two towers" if is_two_tower(name) else "ranking"
