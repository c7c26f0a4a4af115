"""The table of models: names, classes, defaults and published results. Adding a model is one file and one entry.

`--model_name`, its help text, the README's list and the tests are made from `MODELS`.
"""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field
from pathlib import Path

from model.base import CTRModel, TwoTower
from preprocessing.errors import InputError
from preprocessing.feature_columns import FeatureColumns
from training import store

# What a training run needs besides the model's own arguments, per data set, as in the papers' released scripts.
TRAINING_DEFAULTS: dict[str, dict] = {
    "movielens": {"embedding_dim": 32, "batch_size": 2048, "lr": 1e-3, "epochs": 10, "patience": 5},
}


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    title: as printed. path: "module:class". history: whether it reads the user's liked items.
    paper: name of the data -> (AUC, logloss) as published. defaults: data set of a script -> training settings and
    constructor arguments that differ from `TRAINING_DEFAULTS` and from the constructor's own.
    """

    title: str
    path: str
    paper: dict[str, tuple[float, float]]
    aliases: tuple[str, ...] = ()
    history: bool = False
    defaults: dict[str, dict] = field(default_factory=dict)

    @property
    def model_class(self) -> type[CTRModel]:
        module, name = self.path.split(":")
        return getattr(importlib.import_module(module), name)

    @property
    def arguments(self) -> set[str]:
        """Names of the constructor's keyword arguments, those of the base class included."""
        names: set[str] = set()
        for model_class in self.model_class.__mro__:
            if issubclass(model_class, CTRModel):
                parameters = inspect.signature(model_class.__init__).parameters.values()
                names |= {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
        return names


MODELS: dict[str, ModelEntry] = {
    "lr": ModelEntry(
        title="LR",
        path="model.lr:LR",
        paper={"ml-1m": (0.8501, 0.4845), "amazon-electronics": (0.7952, 0.4677), "taobao-ads": (0.6496, 0.2350)},
    ),
    "dssm": ModelEntry(
        title="DSSM",
        path="model.dssm:DSSM",
        aliases=("two_tower",),
        paper={"ml-1m": (0.8697, 0.4559), "amazon-electronics": (0.8469, 0.4313), "taobao-ads": (0.6579, 0.2292)},
        defaults={"movielens": {"dnn_dropout": 0.3}},
    ),
    "int_tower": ModelEntry(
        title="IntTower",
        path="model.IntTower:IntTower",
        paper={"ml-1m": (0.8974, 0.3128), "amazon-electronics": (0.8696, 0.3309), "taobao-ads": (0.6827, 0.2245)},
        defaults={"movielens": {"dnn_dropout": 0.3}},
    ),
}


def find_model(name: str) -> str:
    """The key in `MODELS` of a name or alias; case, `-` and `_` do not matter. Raises `InputError` with the known names.

    >>> find_model("IntTower"), find_model("two-tower")
    ('int_tower', 'dssm')
    """

    def plain(text: str) -> str:
        return text.lower().replace("-", "").replace("_", "")

    known = {plain(alias): key for key, entry in MODELS.items() for alias in (key, *entry.aliases)}
    if plain(name) not in known:
        raise InputError(f"Unknown model '{name}'. Known: {', '.join(MODELS)}.")
    return known[plain(name)]


def name_of(model: CTRModel) -> str:
    """The key in `MODELS` of a model's class, or the class's own name."""
    return next((key for key, entry in MODELS.items() if entry.model_class is type(model)), type(model).__name__)


def default_settings(name: str, dataset: str) -> dict:
    """Training settings and constructor arguments of a model on a data set ("movielens", ...)."""
    return TRAINING_DEFAULTS[dataset] | MODELS[name].defaults.get(dataset, {})


def build_model(name: str, columns: FeatureColumns, **arguments) -> CTRModel:
    """The model with its constructor's first arguments filled in: two sides, or linear and dnn columns."""
    model_class = MODELS[name].model_class
    if issubclass(model_class, TwoTower):
        return model_class(columns.user, columns.item, **arguments)
    if "dnn_feature_columns" in inspect.signature(model_class.__init__).parameters:
        return model_class(columns.all, columns.all, **arguments)
    return model_class(columns.all, **arguments)


def load_model(folder: str | Path, device: str = "cpu") -> CTRModel:
    """The model in a run folder, whatever its class, in evaluation mode."""
    class_name = store.read_config(Path(folder)).get("class")
    for entry in MODELS.values():
        if entry.path.endswith(f":{class_name}"):
            return entry.model_class.load(folder, device)
    raise InputError(
        f"{folder} holds a {class_name}, which is not in the table of models. Use {class_name}.load(folder)."
    )
