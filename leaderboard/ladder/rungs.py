"""The rungs of the ladder from a paper's number to an honest one, on MovieLens-1M.

Rungs are cumulative: each is the one before with a single change. From `release` to `our_recipe` all have one protocol
and one set of test rows a seed; `holdout` and `temporal` have their own. What a rung contains:

paper              the number in the paper, no run
release            `--as_released`: rows, features, model, losses and loop of the release (`model.released`)
heads_4            IntTower alone: 4 heads instead of the release's 32, which would make all later rungs take hours
random_validation  20 % of the same training part at random are validation rows, not the movies with the highest ids
tower_start        linear maps of the towers start as torch has them, not at N(0, 1e-4), where deep ones hardly learn
training_mode      dropout and batch statistics in every epoch, not before the first validation alone
paper_model        model and losses as the paper has them: last layers, cosines, FE-Block, CIR, generation loss and
                   Light-SE are this project's; losses are means over the batch, with the weights of all others divided
                   by the batch size, so that the relative weights stay the release's (CIR's is this project's)
our_recipe         the settings of this project's defaults, searched by validation (`docs/tuning.md`)
holdout            the protocol without the label leak: statistics, their scaling and the history leave the row's label
                   out, no row is dropped, and the test rows are another draw
temporal           the last 10 % of the log are the test rows, and the model is trained anew on all rows before

`our_recipe` keeps the statistics of two parts that `published` has by default, so that it changes the training alone;
what three parts are worth is part of the step to `holdout`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import Job, first_seeds
from leaderboard.settings import arguments_of
from model import MODELS, default_settings
from model.effects import constructor_defaults
from model.released import DIFFERENCES, released_settings

OUR_RECIPE = "our_recipe"
CLIMBERS = ("int_tower", "hit", "dssm", "deep_fm")  # on every rung
OF_THE_RELEASES = tuple(name for name in MODELS if name not in ("lr", "gbdt"))
CLIMBER_SEEDS, OTHER_SEEDS = 5, 3
HEADS = {"user_head": 4, "item_head": 4}
CIR = {"cir_weight": 0.05, "cir_temperature": 0.2}  # the releases have none; these are of this project's defaults
WEIGHTS = ("l2_reg_embedding", "l2_reg_linear", "alpha")  # of losses beside that of clicks
KEPT = ("init_std", "dnn_dropout")  # differences from a paper as well, which `our_recipe` takes away
# What makes a release out of a paper's model, which the models on every rung do without from `paper_model` on.
SWITCHES = {name for each in DIFFERENCES for name in each.settings} - {*WEIGHTS, *KEPT}
RANDOM_VALIDATION = ("--validation_rows", "random")


@dataclass(frozen=True)
class Rung:
    """key: as markers and files name it. title: as tables and pictures do. protocol: "" for the paper, which is no run.

    words: the command line for a model, after the protocol. models: those that have this rung.
    """

    key: str
    title: str
    protocol: str = "published"
    words: Callable[[str], tuple[str, ...]] = lambda model: ()
    models: tuple[str, ...] = CLIMBERS

    @property
    def variant(self) -> str:
        """Among the results of a protocol and model; "" for rungs whose runs are those of the grid."""
        return f"ladder_{self.key}" if self.protocol == "published" and self.key != OUR_RECIPE else ""


def as_released(model: str) -> tuple[str, ...]:
    return ("--as_released",)


def heads_4(model: str) -> tuple[str, ...]:
    return as_released(model) + (arguments_of(HEADS) if model == "int_tower" else ())


def random_validation(model: str) -> tuple[str, ...]:
    return (*heads_4(model), *RANDOM_VALIDATION)


def tower_start(model: str) -> tuple[str, ...]:
    return (*random_validation(model), "--set", "tower_std=null")


def training_mode(model: str) -> tuple[str, ...]:
    return (*tower_start(model), "--no_published_eval_mode")


def paper_model(model: str) -> tuple[str, ...]:
    """Without `--as_released`: its settings without `SWITCHES`, and of this project's defaults none."""
    entry, ours = MODELS[model], default_settings(model, MOVIELENS.key)
    own = {name: value for name, value in constructor_defaults(entry.model_class).items() if name in entry.arguments}
    settings = {**own, **released_settings(model, MOVIELENS.key)}
    settings = {name: value for name, value in settings.items() if name not in SWITCHES}
    settings |= {name: settings[name] / settings["batch_size"] for name in WEIGHTS if settings.get(name)}
    settings |= HEADS | CIR if model == "int_tower" else {}
    stated = {name: value for name, value in settings.items() if name in ours or value != own.get(name)}
    return (*arguments_of(stated), *RANDOM_VALIDATION)


def our_recipe(model: str) -> tuple[str, ...]:
    return RANDOM_VALIDATION


RUNGS = (
    Rung("paper", "the paper", protocol="", models=OF_THE_RELEASES),
    Rung("release", "its release", words=as_released, models=OF_THE_RELEASES),
    Rung("heads_4", "4 heads", words=heads_4, models=("int_tower",)),
    Rung("random_validation", "random validation rows", words=random_validation),
    Rung("tower_start", "towers start as usual", words=tower_start),
    Rung("training_mode", "dropout in every epoch", words=training_mode),
    Rung("paper_model", "the paper's model", words=paper_model),
    Rung(OUR_RECIPE, "our training", words=our_recipe, models=OF_THE_RELEASES),
    Rung("holdout", "holdout: no label leak", "holdout", models=OF_THE_RELEASES),
    Rung("temporal", "temporal: later data", "temporal", models=OF_THE_RELEASES),
)
BY_KEY = {rung.key: rung for rung in RUNGS}


def rungs_of(model: str) -> list[Rung]:
    """From the paper on; a model that is not on every rung has the ends alone."""
    return [rung for rung in RUNGS if model in rung.models]


def ladder_jobs(models: Sequence[str], seeds: int = CLIMBER_SEEDS) -> list[Job]:
    """The runs of these models in an order in which early results are of use: first one seed of all.

    Of a seed first the models that are on every rung, rung by rung. seeds: at most `OTHER_SEEDS` of the other models.
    """
    climbing = [model for model in CLIMBERS if model in models]
    others = [model for model in OF_THE_RELEASES if model in models and model not in CLIMBERS]
    return [
        Job(MOVIELENS, rung.protocol, model, seed, rung.variant, rung.words(model))
        for place, seed in enumerate(first_seeds(seeds))
        for group in (climbing, others if place < OTHER_SEEDS else [])
        for rung, model in itertools.product(RUNGS, group)
        if rung.protocol and model in rung.models
    ]
