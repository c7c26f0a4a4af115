"""Settings that do nothing beside others, found by trying them: the command line refuses these, and no others.

Every two settings of every model are tried together, and each setting beside two that take something away. A setting
does nothing where a model that starts with the same weights predicts and logs the same to the bit.
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
import zlib
from collections.abc import Iterator

import pytest
import torch
from helpers import random_raw
from own_models import enter, page_module
from zoo import DIM, NAMES

import experiment.options
import model.constructor
import model.fit_interface
from experiment.options import parse_options
from foundation.deepctr import Callback
from foundation.errors import InputError
from leaderboard.settings import Settings, arguments_of
from model import MODELS, build_model
from model.effects import constructor_defaults, idle_settings
from preprocessing.dataset import Dataset
from training import trainer

# Values other than the base's. Those of `OFF` take something away, by which others may lose their effect.
VALUES: dict[str, tuple] = {
    "alpha": (0.7,),
    "att_head_num": (1,),
    "att_layer_num": (1, 0),
    "att_res": (False,),
    "batch_size": (50,),
    "cir_temperature": (0.5,),
    "cir_weight": (0.4,),
    "cross_num": (1, 0),
    "cross_parameterization": ("matrix",),
    "cosine": (True,),
    "dnn_activation": ("dice",),
    "dnn_dropout": (0.5,),
    "dnn_hidden_units": ((8,), ()),
    "dnn_use_bn": (False, True),
    "embedding_dim": (6,),
    "embedding_optimizer": ("rowwise",),
    "epochs": (1,),
    "fe_bias": (True,),
    "fe_input": ("pre",),
    "fe_score": ("last",),
    "fe_sum": (True,),
    "field_dim": (3,),
    "gamma": (3.0, "learned"),
    "generation_loss": ("none", "mse", "released"),
    "generator_relu": (True,),
    "item_head": (1,),
    "item_static": (("genres",),),
    "l2_reg_cross": (0.3,),
    "l2_reg_dnn": (0.3,),
    "l2_reg_embedding": (0.3,),
    "l2_reg_leaf": (5.0,),
    "l2_reg_linear": (0.3,),
    "light_se": (False,),
    "light_se_bias": (False,),
    "lr": (0.05,),
    "lr_schedule": ("linear",),
    "max_leaf_nodes": (4,),
    "mimic_mean": (True,),
    "mimic_weight": (2.0,),
    "min_samples_leaf": (12,),
    "num_codes": (1,),
    "num_heads": (1,),
    "num_kernels": (1,),
    "published_eval_mode": (True,),
    "relu_output": (True,),
    "se": ("senet",),
    "tower_bias": (True,),
    "unknown_rate": (0.4,),
    "use_fm": (False,),
    "use_non_target": (False,),
    "use_target": (False,),
    "user_head": (1,),
    "user_static": (("user_id",),),
}
OFF = {
    "dnn_hidden_units": (8,),
    "dnn_use_bn": False,
    "fe_input": "pre",
    "generation_loss": "none",
    "use_non_target": False,
    "use_target": False,
}
SAYS_WHAT_IS_SO = {"generation_loss": "none"}  # may stay where there are no generators
APART = {
    "init_std": "the weights at the start, which are the same here",
    "tower_std": "likewise",
    "user_filed_size": "checked against the columns, decides nothing",
    "item_filed_size": "checked against the columns, decides nothing",
    "device": "where, not what",
    "gpus": "where, not what",
    "seed": "with equal weights at the start, the order of rows alone",
    "task": "one value",
}
OPTIONS = ("batch_size", "embedding_dim", "embedding_optimizer", "epochs", "lr", "lr_schedule", "published_eval_mode")
BASE = {
    "batch_size": 64,
    "embedding_dim": DIM,
    "epochs": 2,
    "lr": 0.02,
    "dnn_hidden_units": (8, 4),
    "dnn_dropout": 0.0,
    "field_dim": 4,
    "user_head": 2,
    "item_head": 2,
    "num_codes": 2,
    "num_kernels": 2,
    "min_samples_leaf": 1,
}


def values_of(name: str, setting: str, alone: bool = True) -> tuple:
    """What a model takes: not every one can be without a tower. alone: whether it is tried beside nothing else."""
    without_tower = name in ("wide_and_deep", "deep_fm", "dcn", "auto_int")
    values = tuple(value for value in VALUES[setting] if without_tower or value != ())
    # Without a cosine both do nothing: the second one beside every other setting would take a fifth of the time.
    return values[:1] if setting == "gamma" and name not in ("dssm", "dat") and not alone else values


def has_nothing_left(settings: Settings) -> bool:
    """Neither a tower nor what stands beside it: the constructor refuses."""
    return settings.get("dnn_hidden_units") == () and 0 in (settings.get("cross_num"), settings.get("att_layer_num"))


def settings_of(name: str) -> set[str]:
    return (MODELS[name].arguments | set(OPTIONS)) - APART.keys()


def base_of(name: str) -> Settings:
    lacking = idle_settings(MODELS[name].model_class, {})
    return {key: value for key, value in BASE.items() if key in settings_of(name) and key not in lacking}


class FirstEpoch(Callback):
    """Ends training after its first epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = True


class Trials:
    """Trained models by their settings, each trained once."""

    def __init__(self, name: str, data: Dataset):
        self.name, self.data = name, data
        self.base = base_of(name)
        self.usual = {**constructor_defaults(MODELS[name].model_class), **self.base}
        self.known: dict[frozenset, tuple] = {}

    def changes_nothing(self, name: str, value, context: Settings, expected: bool) -> bool:
        """The first epoch tells most of what has an effect. A whole run, which has it too, is as good where nothing is
        expected to change."""
        pair, runs = (context, context | {name: value}), (True,) if expected else (False, True)
        return all(operator.eq(*(self.outcome(each, whole) for each in pair)) for whole in runs)

    def outcome(self, changes: Settings, whole: bool) -> tuple:
        """Losses of the first epoch, or of a whole run and its predictions."""
        key = frozenset(changes.items()), whole
        if key not in self.known:
            self.known[key] = self._run(self.base | changes, whole)
        return self.known[key]

    def refusal(self, changes: Settings) -> str:
        """What the command line says about these settings, "" if it takes them."""
        settings = self.base | changes
        tables = settings.pop("embedding_optimizer", None)
        words = [*arguments_of(settings), *(["--embedding_optimizer", tables] if tables else [])]
        try:
            parse_options("amazon", None, ["--model_name", self.name, *words])
        except InputError as error:
            return str(error)
        return ""

    def is_refused(self, name: str, value, context: Settings) -> bool:
        """Whether the command line says that this setting has no effect."""
        option = {"dnn_dropout": "dropout"}.get(name, name)
        said = self.refusal(context | {name: value})
        return re.match(rf"--(set )?{option} has no effect on {self.name}\b", said) is not None

    def _run(self, settings: Settings, whole: bool) -> tuple:
        settings = dict(settings)
        columns = self.data.feature_columns(settings.pop("embedding_dim", DIM), history=MODELS[self.name].history)
        options = {key: settings.pop(key) for key in OPTIONS if key in settings}
        built = build_model(self.name, columns, seed=3, **settings)
        start(built)
        tables = options.pop("embedding_optimizer", None)
        built.compile(lr=options.pop("lr"), embedding_optimizer=None if self.name == "gbdt" else tables)  # it refuses
        options |= {"validation_data": self.data.validation, "callbacks": [] if whole else [FirstEpoch()]}
        history = built.fit(self.data.train, verbose=0, **options).history
        losses = [history[key] for key in ("loss", "ctr", "cir", "generation", "mimic") if key in history]
        return losses, built.predict(self.data.test).tolist() if whole else None


def start(built: torch.nn.Module) -> None:
    """Weights at the start that depend on their name and shape, and not on what else was drawn before."""
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


def contexts(name: str, usual: Settings) -> Iterator[Settings]:
    """Nothing; one setting with any of its values; two that take something away."""
    yield {}
    known = sorted(settings_of(name))
    for setting in known:
        yield from ({setting: value} for value in values_of(name, setting) if value != usual.get(setting))
    off = [setting for setting in known if setting in OFF and usual.get(setting) != OFF[setting]]
    yield from ({setting: OFF[setting] for setting in chosen} for chosen in itertools.combinations(off, 2))


def tried_in(context: Settings, known: set[str]) -> set[str]:
    """Options that act on whatever is trained are not tried in threes, for the time that it takes."""
    alike = set(OPTIONS) - {"published_eval_mode"} if len(context) > 1 else set()
    return known - context.keys() - alike


@pytest.fixture
def unchecked(monkeypatch):
    """Lets models do what they would refuse, and takes every epoch for better than those before, without measuring.

    Numbers of GPUs, which no model here has, are not seeded: that takes longer than a step.
    """
    monkeypatch.setattr(model.constructor, "check_arguments", lambda *_: None)
    monkeypatch.setattr(model.fit_interface, "check_options", lambda *_: None)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: None)
    auc = itertools.count()
    monkeypatch.setattr(trainer, "metrics", lambda *_: {"auc": next(auc)})
    monkeypatch.setattr(trainer, "score_split", lambda *_, **__: {"auc": next(auc)})
    monkeypatch.setattr(experiment.options, "_parser", functools.cache(experiment.options._parser))


@pytest.fixture(scope="module")
def few() -> Dataset:
    return Dataset.build(random_raw(rows=150, users=60, items=40), "holdout", seed=0)


def test_every_setting_is_tried():
    for name in NAMES:
        assert settings_of(name) <= VALUES.keys(), name


@pytest.mark.parametrize("name", NAMES)
def test_refused_is_what_changes_nothing(name, few, unchecked):
    trials = Trials(name, few)
    wrong = [
        (setting, value, context, "refused" if refused else "accepted")
        for context in contexts(name, trials.usual)
        if not trials.refusal(context)
        for setting in sorted(tried_in(context, settings_of(name)))
        for value in values_of(name, setting, alone=not context)
        if value not in (trials.usual.get(setting), SAYS_WHAT_IS_SO.get(setting))
        and not has_nothing_left(context | {setting: value})
        and trials.changes_nothing(setting, value, context, refused := trials.is_refused(setting, value, context))
        != refused
    ]
    assert not wrong, wrong


def test_the_same_for_the_model_that_a_page_shows(few, unchecked, monkeypatch):
    name = enter(monkeypatch, page_module().Bilinear)
    test_refused_is_what_changes_nothing(name, few, unchecked)
