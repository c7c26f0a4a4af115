"""The table of models: names, classes, defaults and published results. Adding a model is one file and one entry.

`--model_name`, its help text, the list in docs/models.md and the tests are made from `MODELS`.
"""

from __future__ import annotations

import importlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foundation.errors import InputError, InputWarning
from foundation.feature_columns import FeatureColumns
from foundation.nearest import did_you_mean
from foundation.run_files import CONFIG, WEIGHTS, read_config, unchanged
from model.base import CTRModel, TwoTower
from model.effects import constructor_defaults, idle_settings

# What a training run needs besides the model's own arguments, per data set: as in the papers' released scripts, but on
# MovieLens chosen by validation AUC (`docs/tuning.md`).
COMMON = {"embedding_dim": 32, "batch_size": 2048, "lr": 1e-3, "lr_schedule": "constant", "epochs": 10, "patience": 5}
TRAINING_DEFAULTS: dict[str, dict] = {
    "movielens": COMMON | {"lr": 3e-3, "lr_schedule": "linear", "epochs": 6},
    "amazon": COMMON,
    "taobao": COMMON | {"lr": 1e-4, "epochs": 15},
}
# Data whose settings are another data set's: nothing is tuned on data of one's own.
SETTINGS_OF = {"own": "movielens"}
TREES = {"lr": 0.1, "lr_schedule": "constant", "epochs": 500, "patience": 20}  # of gbdt, where an epoch is a tree
# Constructor arguments of models with embeddings and towers. The released scripts drop out 30 % on MovieLens, but their
# loop does so in the first epoch only; kept up, it unsettles the batch norms behind it (`docs/tuning.md`).
TOWERS: dict[str, dict] = {
    "movielens": {"dnn_dropout": 0.0, "l2_reg_embedding": 1e-4, "init_std": 0.01},
    "amazon": {"dnn_dropout": 0.3},
    "taobao": {"dnn_dropout": 0.5},
}
# Ranking models gain validation AUC by batch norm, which two-tower models have anyway (`docs/tuning.md`).
RANKING = TOWERS | {"movielens": TOWERS["movielens"] | {"dnn_use_bn": True}}


def chosen(group: dict[str, dict], **settings: Any) -> dict[str, dict]:
    """A group's defaults with what a model's trials on MovieLens chose besides (`docs/tuning.md`)."""
    return group | {"movielens": group["movielens"] | settings}


@dataclass(frozen=True)
class ModelEntry:
    """One model.

    title: as printed. source: where it was published. path: "module:class". history: whether it reads the user's liked
    items. paper: name of the data -> (AUC, logloss) as published. paper_parameters: name of the data -> as published.
    defaults: data set of a script -> training settings and constructor arguments that differ from `TRAINING_DEFAULTS`
    and from the constructor's own.
    """

    title: str
    path: str
    source: str = ""
    paper: dict[str, tuple[float, float]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    history: bool = False
    paper_parameters: dict[str, int] = field(default_factory=dict)
    defaults: dict[str, dict] = field(default_factory=dict)

    @property
    def model_class(self) -> type[CTRModel]:
        module, name = self.path.split(":")
        return getattr(importlib.import_module(module), name)

    @property
    def arguments(self) -> set[str]:
        """Names of the constructor's keyword arguments, without those of parts that the model lacks."""
        return constructor_defaults(self.model_class).keys() - self.model_class.without_effect.keys()


MODELS: dict[str, ModelEntry] = {
    "lr": ModelEntry(
        title="LR",
        source="logistic regression",
        path="model.lr:LR",
        paper={"ml-1m": (0.8501, 0.4845), "amazon-electronics": (0.7952, 0.4677), "taobao-ads": (0.6496, 0.2350)},
        defaults={"movielens": {"lr": 0.03, "l2_reg_linear": 1e-6, "unknown_rate": 0.1}},
    ),
    "gbdt": ModelEntry(
        title="GBDT",
        source="gradient-boosted trees, scikit-learn",
        path="model.gbdt:GBDT",
        defaults={
            **dict.fromkeys(TRAINING_DEFAULTS, TREES),
            "movielens": TREES | {"max_leaf_nodes": 63, "l2_reg_leaf": 10.0},
        },
    ),
    "dssm": ModelEntry(
        title="DSSM",
        source="Huang et al., CIKM 2013",
        path="model.dssm:DSSM",
        aliases=("two_tower",),
        paper={"ml-1m": (0.8697, 0.4559), "amazon-electronics": (0.8469, 0.4313), "taobao-ads": (0.6579, 0.2292)},
        paper_parameters={"ml-1m": 740_000},
        defaults=chosen(TOWERS, dnn_dropout=0.1),
    ),
    "dat": ModelEntry(
        title="DAT",
        source="Dual Augmented Two-tower, Yu et al., DLP-KDD 2021",
        path="model.dat:DAT",
        paper={"ml-1m": (0.8712, 0.4556), "amazon-electronics": (0.8480, 0.4278), "taobao-ads": (0.6598, 0.2279)},
        paper_parameters={"ml-1m": 760_000},
        defaults=chosen(TOWERS, unknown_rate=0.1),
    ),
    "mvke": ModelEntry(
        title="MVKE",
        source="Mixture of Virtual-Kernel Experts, Xu et al., KDD 2022",
        path="model.mvke:MVKE",
        paper={"ml-1m": (0.8720, 0.4511), "amazon-electronics": (0.8503, 0.4324), "taobao-ads": (0.6625, 0.2276)},
        paper_parameters={"ml-1m": 840_000},
        defaults=chosen(TOWERS, unknown_rate=0.1),
    ),
    "poly_encoder": ModelEntry(
        title="Poly-Encoder",
        source="Humeau et al., ICLR 2020",
        path="model.poly_encoder:PolyEncoder",
        paper={"ml-1m": (0.8734, 0.3971), "amazon-electronics": (0.8595, 0.3855), "taobao-ads": (0.6657, 0.2273)},
        paper_parameters={"ml-1m": 870_000},
        defaults=chosen(TOWERS, num_codes=8),
    ),
    "cold": ModelEntry(
        title="COLD",
        source="Wang et al., DLP-KDD 2020",
        path="model.cold:COLD",
        paper={"ml-1m": (0.8836, 0.3297), "amazon-electronics": (0.8633, 0.3402), "taobao-ads": (0.6816, 0.2248)},
        paper_parameters={"ml-1m": 680_000},
        defaults=chosen(RANKING, dnn_dropout=0.1),
    ),
    "wide_and_deep": ModelEntry(
        title="Wide&Deep",
        source="Cheng et al., DLRS 2016",
        path="model.wdm:WideDeep",
        paper={"ml-1m": (0.8820, 0.3344), "amazon-electronics": (0.8615, 0.3409), "taobao-ads": (0.6814, 0.2250)},
        paper_parameters={"ml-1m": 680_000},
        defaults=chosen(RANKING, dnn_dropout=0.1),
    ),
    "deep_fm": ModelEntry(
        title="DeepFM",
        source="Guo et al., IJCAI 2017",
        path="model.deepfm:DeepFM",
        paper={"ml-1m": (0.8920, 0.3211), "amazon-electronics": (0.8643, 0.3405), "taobao-ads": (0.6820, 0.2247)},
        paper_parameters={"ml-1m": 680_000},
        defaults=RANKING,
    ),
    "dcn": ModelEntry(
        title="DCN",
        source="Wang et al., ADKDD 2017",
        path="model.dcn:DCN",
        paper={"ml-1m": (0.8964, 0.3151), "amazon-electronics": (0.8665, 0.3366), "taobao-ads": (0.6831, 0.2244)},
        paper_parameters={"ml-1m": 680_000},
        defaults=RANKING,
    ),
    "auto_int": ModelEntry(
        title="AutoInt",
        source="Song et al., CIKM 2019",
        path="model.autoint:AutoInt",
        paper={"ml-1m": (0.8948, 0.3192), "amazon-electronics": (0.8686, 0.3351), "taobao-ads": (0.6867, 0.2238)},
        paper_parameters={"ml-1m": 700_000},
        defaults=chosen(RANKING, att_layer_num=2),
    ),
    "int_tower": ModelEntry(
        title="IntTower",
        source="Li et al., CIKM 2022",
        path="model.IntTower:IntTower",
        paper={"ml-1m": (0.8974, 0.3128), "amazon-electronics": (0.8696, 0.3309), "taobao-ads": (0.6827, 0.2245)},
        paper_parameters={"ml-1m": 1_180_000},
        defaults={
            **chosen(TOWERS, unknown_rate=0.1, cir_weight=0.05, cir_temperature=0.2),
            "amazon": {**TOWERS["amazon"], "field_dim": 64, "user_head": 32, "item_head": 32},
            "taobao": {**TOWERS["taobao"], "field_dim": 16, "user_head": 4, "item_head": 4},
        },
    ),
    "hit": ModelEntry(
        title="HIT",
        source="formerly TIM, arXiv 2505.19849",
        path="model.hit:HIT",
        aliases=("tim",),
        history=True,
        paper={"ml-1m": (0.9048, 0.3026), "amazon-electronics": (0.8784, 0.3225), "taobao-ads": (0.7226, 0.2104)},
        paper_parameters={"ml-1m": 790_000},
        defaults={
            "movielens": TOWERS["movielens"],
            "amazon": {"dnn_dropout": 0.3, "batch_size": 128, "epochs": 30, "patience": 2},
            "taobao": {"dnn_dropout": 0.2, "batch_size": 256, "epochs": 30, "patience": 2, "lr": 1e-2},
        },
    ),
}


def find_model(name: str) -> str:
    """The key in `MODELS` of a name or alias; case, `-` and `_` do not matter. Raises `InputError` for another name.

    >>> find_model("IntTower"), find_model("two-tower")
    ('int_tower', 'dssm')
    """

    def plain(text: str) -> str:
        return text.lower().replace("-", "").replace("_", "")

    known = {plain(alias): key for key, entry in MODELS.items() for alias in (key, *entry.aliases)}
    if plain(str(name)) not in known:
        raise InputError(f"Unknown model '{name}'. Known: {', '.join(MODELS)}.{did_you_mean(name, MODELS)}")
    return known[plain(name)]


def name_of(model: CTRModel) -> str:
    """The key in `MODELS` of a model's class, or the class's own name."""
    return next((key for key, entry in MODELS.items() if entry.model_class is type(model)), type(model).__name__)


def default_settings(name: str, dataset: str) -> dict:
    """Training settings and constructor arguments of a model on a data set ("movielens", ..., "own" for any other)."""
    dataset = SETTINGS_OF.get(dataset, dataset)
    return TRAINING_DEFAULTS[dataset] | MODELS[name].defaults.get(dataset, {})


def build_model(name: str, columns: FeatureColumns, **arguments: Any) -> CTRModel:
    """The model with its constructor's first arguments filled in: two sides, or linear and dnn columns.

    name: as of `find_model`, which raises `InputError` for another. A model with `user_static` and `item_static` gets
    those of the data set, unless they are given or do nothing. Warns (`InputWarning`) of columns that lack the history
    which the model is made for, if the data have one.
    """
    entry = MODELS[find_model(name)]
    if entry.history and columns.left_out:
        warnings.warn(
            f"{entry.title} is made to read the items that a user liked, and these columns lack them. Make them with "
            "data.feature_columns(history=True), or with history=False if that is what you want.",
            InputWarning,
            stacklevel=2,
        )
    model_class = entry.model_class
    for side in ("user_static", "item_static"):
        if side in entry.arguments - idle_settings(model_class, arguments).keys():
            arguments.setdefault(side, getattr(columns, side) or None)
    build: Callable[..., CTRModel] = model_class  # each takes its own columns
    if issubclass(model_class, TwoTower):
        return build(columns.user, columns.item, **arguments)
    if "dnn_feature_columns" in inspect.signature(model_class.__init__).parameters:
        return build(columns.all, columns.all, **arguments)
    return build(columns.all, **arguments)


def load_model(folder: str | Path, device: str = "cpu") -> CTRModel:
    """The model in a run folder, whatever its class, in evaluation mode. Raises `InputError` for damaged files."""
    return unchanged(Path(folder), [CONFIG, WEIGHTS], lambda: _load(Path(folder), device))


def _load(folder: Path, device: str) -> CTRModel:
    class_name = read_config(folder).get("class")
    for entry in MODELS.values():
        if entry.path.endswith(f":{class_name}"):
            return entry.model_class.load(folder, device)
    raise InputError(
        f"{folder} holds a {class_name}, which is not in the table of models. Use {class_name}.load(folder)."
    )
