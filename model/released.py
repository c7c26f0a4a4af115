"""The released form of every model: what the public releases of IntTower and HIT set, as options of this project.

What differs from a paper is in `DIFFERENCES`, once (rows and loop: `model/released_data.py`, models:
`model/released_models.py`), from which `docs/published_code.md` and the ladder are made as well. Beside it stand here
the hyper-parameters that the releases' scripts and constructors have.
"""

from __future__ import annotations

from typing import Any

from foundation.errors import InputError, one_of
from model import MODELS, SETTINGS_OF, TRAINING_DEFAULTS, find_model
from model.difference import HIT, INT_TOWER, RELEASES, Difference
from model.effects import idle_settings
from model.released_data import LOOP, ROWS
from model.released_models import STRUCTURE

__all__ = ["DIFFERENCES", "RELEASES", "Difference", "release_of", "released_settings"]

DIFFERENCES: list[Difference] = [*ROWS, *LOOP, *STRUCTURE]
# Of the scripts, by release and data set; of IntTower's on MovieLens that of DeepFM. Learning rates are Adam's.
TRAINING: dict[str, dict[str, dict[str, Any]]] = {
    "inttower": {
        "movielens": {"batch_size": 2048, "lr": 1e-3, "epochs": 10, "patience": 3, "dnn_dropout": 0.1},
        "amazon": {"batch_size": 2048, "lr": 1e-3, "epochs": 10, "patience": 3, "dnn_dropout": 0.3},
        "taobao": {"batch_size": 2048, "lr": 1e-4, "epochs": 15, "patience": 3, "dnn_dropout": 0.5},
    },
    "hit": {
        "movielens": {"batch_size": 128, "lr": 1e-3, "epochs": 30, "patience": 2, "dnn_dropout": 0.3},
        "amazon": {"batch_size": 128, "lr": 1e-3, "epochs": 30, "patience": 2, "dnn_dropout": 0.3},
        "taobao": {"batch_size": 256, "lr": 1e-2, "epochs": 30, "patience": 2, "dnn_dropout": 0.2},
    },
}
OF_THE_RUN = ("protocol", "validation_rows", "statistics")  # chosen apart from the model's form
# One script's or constructor's own, by release and model, then by data set ("" for all of them).
OWN: dict[tuple[str, str], dict[str, dict[str, Any]]] = {
    ("inttower", "int_tower"): {
        "": {"dnn_hidden_units": (300, 300, 128)},
        "movielens": {"field_dim": 64, "user_head": 32, "item_head": 32, "dnn_dropout": 0.3, "patience": 5},
        "amazon": {"field_dim": 64, "user_head": 2, "item_head": 2},
        "taobao": {"field_dim": 16, "user_head": 4, "item_head": 4},
    },
    ("inttower", "dssm"): {"": {"dnn_hidden_units": (300, 300, 128)}, "movielens": {"epochs": 15}},
    # No script trains DAT there; that of DSSM is the one in which the model can be swapped.
    ("inttower", "dat"): {"": {"dnn_hidden_units": (300, 300, 32)}, "movielens": {"epochs": 15, "dnn_dropout": 0.3}},
    ("hit", "int_tower"): {
        "": {"dnn_hidden_units": (300, 300, 128)},
        "movielens": {"field_dim": 64, "user_head": 2, "item_head": 2},
        "amazon": {"field_dim": 64, "user_head": 32, "item_head": 32},
        "taobao": {"field_dim": 16, "user_head": 32, "item_head": 32},
    },
    ("hit", "dssm"): {"": {"dnn_hidden_units": (300, 300, 32)}},
    ("hit", "dat"): {"": {"dnn_hidden_units": (300, 300, 32)}},
    ("hit", "hit"): {"": {"dnn_hidden_units": (300, 300, 32), "num_heads": 2, "field_dim": 16, "alpha": 0.1}},
}


def release_of(model: str, release: str | None = None) -> str:
    """The release whose form of a model is meant. model: a name or alias. release: one of `RELEASES`; None for the
    model's own, that of IntTower for those that have a file in it.

    Raises `InputError` for an unknown name, and for a model that the release does not hold.

    >>> release_of("int_tower"), release_of("mvke"), release_of("int_tower", "hit")
    ('inttower', 'hit', 'hit')
    """
    name = find_model(model)
    if release is not None:
        one_of("release", release, RELEASES)
    held = {"inttower": INT_TOWER, "hit": HIT}
    having = [each for each in RELEASES if name in held[each]]
    if not having:
        raise InputError(f"Neither release holds {name}. Models with a released form: {', '.join(HIT)}.")
    if release is not None and release not in having:
        raise InputError(f"The release of {release} does not hold {name}. Give {' or '.join(having)}, or leave it out.")
    return release or having[0]


def released_settings(model: str, dataset: str, release: str | None = None) -> dict[str, Any]:
    """What brings a model's released form on a data set ("movielens", ...), for `default_settings` to be replaced by:
    options of training, constructor arguments, and which features ("history", "own_history_table").

    release: as for `release_of`, which raises `InputError`.
    """
    name, release = find_model(model), release_of(model, release)
    dataset = SETTINGS_OF.get(dataset, dataset)
    one_of("dataset", dataset, TRAINING_DEFAULTS)
    settings: dict[str, Any] = {"embedding_dim": 32, "lr_schedule": "constant", "history": False}
    settings |= {"own_history_table": False, "unknown_rate": 0.0}
    settings |= TRAINING[release][dataset]
    own = OWN.get((release, name), {})
    settings |= own.get("", {}) | own.get(dataset, {})
    for each in DIFFERENCES:
        if each.concerns(name, release, dataset):
            settings |= {key: value for key, value in each.settings.items() if key not in OF_THE_RUN}
    if "published_eval_mode" in idle_settings(MODELS[name].model_class, settings):
        settings["published_eval_mode"] = False  # no batch norm and no dropout
    return settings
