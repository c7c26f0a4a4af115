"""Tuning: the six trials that every model has, each decided by the validation AUC of those before.

1-2   protocol `holdout`: two values of one setting, mostly l2 on the embeddings
3-4   `holdout`: the best so far with one change each: a lower learning rate, then a change of the model's own
5-6   `temporal`: the best so far with `unknown_rate` 0 and 0.1; left out of data without times
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from leaderboard.data_sets import MOVIELENS, DataSet
from leaderboard.jobs import FIRST_SEED, Job
from leaderboard.settings import Settings, arguments_of, text_of

BASE_NAME = "base"


@dataclass(frozen=True)
class Search:
    """What is tried for one model.

    base: every setting that a trial changes or that has a default on MovieLens, so that a trial means the same when
        defaults change.  first: two changes of the base.  then: two changes, each of the best so far.
    temporal: two changes of the best, compared under the other protocol.
    """

    base: Settings
    first: tuple[Settings, Settings]
    then: tuple[Settings, Settings]
    temporal: tuple[Settings, Settings] = ({"unknown_rate": 0.0}, {"unknown_rate": 0.1})

    def changed(self, settings: Settings) -> Settings:
        """Those of the settings in which they differ from the base."""
        return {name: value for name, value in settings.items() if value != self.base[name]}


def _neural(own: Settings, **base) -> Search:
    """The same for all models with embeddings and towers. own: a change.  base: what only this model has."""
    common = {
        "embedding_dim": 32,
        "batch_size": 2048,
        "lr": 3e-3,
        "lr_schedule": "linear",
        "epochs": 6,
        "patience": 5,
        "dnn_dropout": 0.0,
        "dnn_use_bn": True,
        "init_std": 0.01,
        "l2_reg_embedding": 1e-5,
        "unknown_rate": 0.0,
    }
    return Search(common | base, ({"l2_reg_embedding": 1e-5}, {"l2_reg_embedding": 1e-4}), ({"lr": 1e-3}, own))


DROPOUT = {"dnn_dropout": 0.1}  # for models with nothing of their own to choose
# The slowest first: whoever runs several at a time ends with the short ones.
SEARCHES: dict[str, Search] = {
    "mvke": _neural({"num_kernels": 8}, num_kernels=4),
    "poly_encoder": _neural({"num_codes": 8}, num_codes=4),
    "int_tower": _neural({"cir_weight": 0.05, "cir_temperature": 0.2}, cir_weight=0.0, cir_temperature=0.1),
    "dat": _neural({"mimic_weight": 0.1}, gamma=1.0, mimic_weight=0.5),
    "hit": _neural({"alpha": 0.3}, alpha=0.1),
    "dssm": _neural(DROPOUT, gamma=1.0),  # a learned gamma is another model: an ablation
    "auto_int": _neural({"att_layer_num": 2}, att_layer_num=3),
    "dcn": _neural({"cross_num": 4}, cross_num=2),
    "deep_fm": _neural(DROPOUT),
    "wide_and_deep": _neural(DROPOUT),
    "cold": _neural(DROPOUT),
    "gbdt": Search(
        {
            "lr": 0.1,
            "lr_schedule": "constant",
            "epochs": 500,
            "patience": 20,
            "max_leaf_nodes": 31,
            "l2_reg_leaf": 0.0,
        },
        first=({"lr": 0.1}, {"lr": 0.2}),
        then=({"max_leaf_nodes": 63}, {"l2_reg_leaf": 10.0}),
        temporal=({}, {"max_leaf_nodes": 15}),  # trees take no unknown ids, but smaller ones lean less on single ids
    ),
    "lr": Search(
        {
            "batch_size": 2048,
            "lr": 3e-3,
            "lr_schedule": "linear",
            "epochs": 6,
            "patience": 5,
            "init_std": 1e-4,
            "l2_reg_linear": 1e-5,
            "unknown_rate": 0.0,
        },
        first=({"l2_reg_linear": 1e-6}, {"l2_reg_linear": 1e-5}),
        then=({"lr": 1e-2}, {"lr": 3e-2}),
    ),
}
TRIALS, EARLIER = 6, 4  # of each model, and of these under `holdout`


@dataclass(frozen=True)
class Trial:
    """A model with settings under a protocol on a data set."""

    model: str
    protocol: str
    settings: Settings
    dataset: DataSet = MOVIELENS

    @property
    def name(self) -> str:
        """The changes of the base, so that equal trials of a model have one name, and one result."""
        return text_of(SEARCHES[self.model].changed(self.settings)).replace(" ", "") or BASE_NAME

    @property
    def job(self) -> Job:
        """The run with all settings on its command line."""
        return Job(self.dataset, self.protocol, self.model, FIRST_SEED, self.name, arguments_of(self.settings))


def chain(model: str, dataset: DataSet = MOVIELENS, later: bool = True) -> Generator[Trial, float, Settings]:
    """Yields a model's trials one after another and is sent the validation AUC of each. Returns the chosen settings.

    Of equal AUCs the first trial's counts. later: whether the data have times, for trials under `temporal`.
    """
    search = SEARCHES[model]
    best, best_auc = search.base, -math.inf
    for place, change in enumerate((*search.first, *search.then)):
        settings = (search.base if place < len(search.first) else best) | change
        auc = yield Trial(model, "holdout", settings, dataset)
        if auc > best_auc:
            best, best_auc = settings, auc
    settled, best_auc = best, -math.inf
    for change in search.temporal if later else ():
        settings = settled | change
        auc = yield Trial(model, "temporal", settings, dataset)
        if auc > best_auc:
            best, best_auc = settings, auc
    return best
