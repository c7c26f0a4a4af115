"""What a run does unless it is told otherwise: by model, data set, protocol, and release if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model import MODELS, default_settings
from model.released import release_of, released_settings
from preprocessing.protocol import PROTOCOLS

OWN_RELEASE = True  # `--as_released` without a value
OWN = "own"  # data that a `dataset.toml` describes, in place of "movielens", "amazon" or "taobao"
WITH_HISTORY = ("movielens", OWN)  # scripts whose data have the items that each user liked
RELEASED_ALONE = ("amazon", "taobao")  # whose settings are those of the papers' scripts
# What was done before there was the option, so that results of then are compared with those of now. `published` had
# other rows then.
NOT_YET: dict[str, Any] = {
    "as_released": None,
    "own_history_table": False,
    "refit": False,
    "loss": "binary_crossentropy",
}
ROWS_THEN = {
    "holdout": {"validation_rows": "random", "statistics": "frozen"},
    "temporal": {"validation_rows": "next", "statistics": "frozen"},
}


def usual_settings(name: str, dataset: str, protocol: str, as_released: str | bool | None) -> dict[str, Any]:
    """Options and constructor arguments of a model on a data set ("movielens", ...).

    as_released: a release of `model.released`, `OWN_RELEASE`, or None for this project's own defaults.
    Raises `InputError` for a release that lacks the model.
    """
    known = PROTOCOLS[protocol]
    choices = {"validation_rows": known.validation_rows[0], "statistics": known.statistics[0], "refit": known.refits}
    if as_released is None:
        own = {"history": MODELS[name].history, "own_history_table": False} | default_settings(name, dataset)
    else:
        own = released(name, dataset, as_released)
    if dataset not in WITH_HISTORY:
        own |= {"history": False, "own_history_table": False}
    return choices | own


def usual_protocol(dataset: str) -> str:
    """What a script without --protocol does: as the papers, on the data of the papers."""
    return "holdout" if dataset == OWN else "published"


def origin(dataset: str, as_released: str | None) -> str:
    """Where the settings come from that a run has unless it is told otherwise.

    as_released: the release whose form a run has, None for this project's own defaults.

    >>> origin("own", None)
    'chosen on MovieLens-1M; nothing was tuned on these data'
    """
    if as_released is not None:
        elsewhere = ", for MovieLens-1M; nothing was tuned on these data" if dataset == OWN else ""
        return f"those of the release of {as_released}{elsewhere}"
    if dataset in RELEASED_ALONE:
        return "those of the papers' releases; nothing was tuned on these data"
    return "chosen on MovieLens-1M" + ("; nothing was tuned on these data" if dataset == OWN else "")


def released(name: str, dataset: str, release: str | bool) -> dict[str, Any]:
    """`released_settings`, and under "as_released" of which release they are. release: as of `usual_settings`."""
    which = release_of(name, None if release is OWN_RELEASE else str(release))
    return {"as_released": which} | released_settings(name, dataset, which)


def without_new_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those that say what was done before there was the option.

    >>> without_new_options({"protocol": "temporal", "model_name": "lr", "validation_rows": "next", "refit": True})
    {'protocol': 'temporal', 'model_name': 'lr', 'refit': True}
    """
    entry = MODELS.get(config["model_name"])
    then = NOT_YET | {"history": entry is not None and entry.history} | ROWS_THEN.get(config["protocol"], {})
    return {name: value for name, value in config.items() if name not in then or value != then[name]}
