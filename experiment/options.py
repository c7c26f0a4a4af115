"""The options of the training scripts, each declared once, completed with the defaults of model and data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from experiment import torchrun
from experiment.defaults import OWN, OWN_RELEASE, WITH_HISTORY, usual_protocol, usual_settings
from experiment.devices import chosen_device
from experiment.model_arguments import constructor_arguments
from experiment.parser import DATA, MODEL, RUN, ScriptParser, add_options
from experiment.published_flags import add_published_flags, translate
from foundation.errors import InputError
from foundation.options import Option, defaults_of, option, options_of
from model import MODELS, default_settings, find_model
from model.effects import Idle, constructor_defaults, idle_settings
from model.layers.embedding_optimizer import EMBEDDING_OPTIMIZERS
from model.released import RELEASES
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.protocol import PROTOCOLS, Protocol, switch
from preprocessing.taobao import PID_PLACEMENTS
from training import distributed
from training.click_loss import CROSS_ENTROPY, IN_BATCH, SATURATING
from training.options import GRADIENTS, TrainOptions

LOOP = {"published_eval_mode", "summed_loss"}  # what a release switches on
# Of a protocol.
SWITCHES = {
    "validation_rows": "which rows validate",
    "statistics": "which labels a row's statistics and history are made of",
}
CHOICES = {
    name: tuple(dict.fromkeys(choice for each in PROTOCOLS.values() for choice in getattr(each, name)))
    for name in SWITCHES
}
Tracker = Literal["tensorboard", "mlflow", "wandb"]  # of `experiment.tracking`


def _of_protocols(name: str, protocols: Mapping[str, Protocol] = PROTOCOLS) -> str:
    """The help of a switch of protocols: the choices of each, the default first."""
    return f"{SWITCHES[name]}: " + "; ".join(
        f"{protocol} {' or '.join(getattr(each, name))}" for protocol, each in protocols.items()
    )


DATA_PLACES = {
    "movielens": "data/, else download, else the generated data, which `synthetic` asks for",
    "amazon": "data/amazon-electronics, else download",
    "taobao": "data/taobao-ads",
    OWN: "where dataset.toml is",
}


@dataclass(frozen=True, kw_only=True)
class Options(TrainOptions):
    """Everything that a script needs to know. An option of other data sets has its default.

    dataset: of which script ("movielens", ..., or "own" for the script of data of one's own).
    as_released: of which release the model's form and all defaults are, None for this project's own.
    validation_rows, statistics, refit: switches of the protocol (`preprocessing.protocol.PROTOCOLS`).
    history: whether the model reads the items that a user liked; own_history_table: through a table of their own.
    dropout: of the towers, None for a model without. embedding_optimizer: None leaves the choice to `compile`.
    model_arguments: all other arguments for its constructor. asked: those of all that the command line names.
    """

    dataset: str
    model_arguments: dict[str, Any]
    asked: tuple[str, ...] = field(default=(), compare=False)
    folder: str | None = option(
        "of the data, with a dataset.toml",
        None,
        flags=("folder",),
        metavar="FOLDER",
        group=RUN,
        decides=False,
        datasets=(OWN,),
    )
    model_name: str = option(
        f"{' '.join(MODELS)}; case, - and _ do not matter", metavar="NAME", group=MODEL, required=True
    )
    embedding_dim: int = option("size of a feature's embedding", least=1)
    dropout: float | None = option(
        "share of units dropped in the towers",
        None,
        least=0,
        below=1,
        group=MODEL,
        decides=False,  # as one of the model's arguments it does
    )
    as_released: str | None = option(
        f"the model's structure, loop and settings as in a public release ({' or '.join(RELEASES)}), by default the "
        "one that the model's code is of; what is given beside it overrides it",
        None,
        choices=RELEASES,
        bare=OWN_RELEASE,
        metavar="RELEASE",
        group=MODEL,
    )
    history: bool = option(
        "the model reads the items that the user liked; default for hit",
        off=("--no_history", "without them"),
        group=MODEL,
        datasets=WITH_HISTORY,
    )
    own_history_table: bool = option("the history has an embedding table of its own", False, flags=())
    protocol: str = option("published is the papers' and leaks test labels", "published", choices=PROTOCOLS, group=DATA)
    validation_rows: str = option(_of_protocols("validation_rows"), choices=CHOICES["validation_rows"], group=DATA)
    statistics: str = option(_of_protocols("statistics"), choices=CHOICES["statistics"], group=DATA)
    refit: bool = option(
        "train anew on training and validation rows together, for the number of epochs that was best, before testing; "
        f"default under {', '.join(name for name, each in PROTOCOLS.items() if each.refits)}",
        off=("--no_refit", "test the model that was validated"),
        group=DATA,
    )
    seed: int = option(
        "of the split, the initial weights and the order of rows",
        1023,
        least=0,
        most=2**32 - 1,
        flags=("--seed", "--random_seed"),
        group=DATA,
    )
    max_rows: int | None = option(
        "only the first N interactions by time, or in file order without times", None, least=1, group=DATA
    )
    sample_rate: float = option(
        "random share of the interactions that is kept; published for HIT: 0.3",
        1.0,
        above=0,
        most=1,
        group=DATA,
        datasets=("taobao",),
    )
    pid_placement: str = option(
        "side of the ad's position: item, as published, or request, for one vector an ad",
        "item",
        choices=PID_PLACEMENTS,
        group=DATA,
        datasets=("taobao",),
        needs={"has_two_sides": "which reads the features of both sides in one place"},
    )
    lr: float = option("learning rate of Adam", above=0)
    loss: str = option(
        f"of clicks; {SATURATING} is computed from probabilities, so that rows whose logits are large have no "
        f"gradient; {IN_BATCH} is for two-tower models on positives alone",
        CROSS_ENTROPY[0],
        choices=(CROSS_ENTROPY[0], SATURATING, IN_BATCH),
        needs={GRADIENTS: "which learns from the logloss alone"},
    )
    embedding_optimizer: str | None = option(
        "dense updates all rows of the embedding tables in each step, rowwise those of the batch; default by size",
        None,
        choices=EMBEDDING_OPTIMIZERS,
    )
    device: str = option("auto, cpu, cuda, cuda:N", "auto", metavar="NAME", group=RUN)
    data_path: str | None = option("folder or file of the data", None, metavar="PATH", group=RUN, decides=False)
    cache: Path | None = option(
        "where parsed tables are kept for the next start",
        DEFAULT_CACHE,
        flags=("--cache_dir",),
        off=("--no_cache", "parse every time"),
        metavar="DIR",
        group=RUN,
        decides=False,
        datasets=("amazon", "taobao", OWN),
    )
    out: str | None = option(
        "run folder; default runs/<dataset>/<model>/<protocol>-seed<seed>, and what differs from the defaults",
        None,
        metavar="DIR",
        group=RUN,
        decides=False,
    )
    ckpt_fold: str | None = option(
        "folder of the run folder, which has the model's name then", None, decides=False, flags=()
    )
    resume: bool = option(
        "continue the interrupted run in the run folder; without one start, and after a finished one do nothing",
        False,
        group=RUN,
        decides=False,
    )
    overwrite: bool = option(
        "replace a finished run with other settings or data in the run folder", False, group=RUN, decides=False
    )
    track: Tracker | None = option(
        "settings and figures of the run in this tracker as well (docs/tracking.md)", None, group=RUN, decides=False
    )
    quiet: bool = option("print nothing but the closing table and warnings", False, group=RUN, decides=False)

    @property
    def config(self) -> dict[str, Any]:
        """What decides the result, for `result.json`, but for the model's arguments."""
        return {
            name: getattr(self, name)
            for name, declared in options_of(Options).items()
            if declared.decides and declared.is_of(self.dataset)
        }

    @property
    def split(self) -> dict[str, Any]:
        """Keywords of `Dataset.build`: how the data are split, and what each row may know."""
        return {name: getattr(self, name) for name in ("protocol", "seed", *SWITCHES)}

    @property
    def columns(self) -> dict[str, Any]:
        """Keywords of `Dataset.feature_columns`."""
        return {name: getattr(self, name) for name in ("embedding_dim", "history", "own_history_table")}

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """The options of `model.fit`."""
        named = {name: getattr(self, name) for name, declared in options_of(TrainOptions).items() if declared.flags}
        return named | {"verbose": 0 if self.quiet else 1}

    @property
    def constructor_arguments(self) -> dict[str, Any]:
        """For the model, all but feature columns."""
        dropout = {} if self.dropout is None else {"dnn_dropout": self.dropout}
        return {**self.model_arguments, **dropout, "device": self.device, "seed": self.seed}


def parse_options(dataset: str, model_name: str | None = None, argv: list[str] | None = None) -> Options:
    """Reads the command line of a script on `dataset` ("movielens", ...).

    model_name: the script's only model; None lets the user choose with --model_name.
    Raises `InputError` for anything that is unknown, out of range or without effect.
    """
    given = vars(_parser(dataset, model_name).parse_args(argv))
    name = model_name or find_model(given["model_name"])
    translate(given, name, MODELS[name].arguments)
    if name == "gbdt" and torchrun.local_rank() is not None:
        raise InputError("gbdt trains in one process. Start the script without torchrun.")
    if given.get("track"):
        distributed.current().once(lambda: _require_tracker(given["track"]))
    protocol = given.setdefault("protocol", usual_protocol(dataset))
    _require_honest(dataset, protocol)
    for key in SWITCHES:
        switch(protocol, key, given.get(key), getattr(PROTOCOLS[protocol], key))
    usual, known = usual_settings(name, dataset, protocol, given.pop("as_released", None)), options_of(Options)
    chosen = {key: value for key, value in (usual | given).items() if key in known}
    asked = constructor_arguments(name, given)
    arguments = {key: value for key, value in usual.items() if key not in known} | asked
    idle = _idle(name, arguments | chosen, usual["patience"])
    _refuse_idle(name, idle, given | asked, {key: value for key, value in usual.items() if key in known})
    arguments = {key: value for key, value in arguments.items() if key in asked or key not in idle}
    for key in LOOP & idle.keys() - given.keys():  # of a release, and without effect beside what was given
        chosen[key] = getattr(Options, key)
    if not chosen["history"]:
        chosen["own_history_table"] = False
    no_dropout = 0.0 if "dnn_dropout" in MODELS[name].arguments else None
    chosen |= {"model_name": name, "dropout": arguments.pop("dnn_dropout", no_dropout)}
    chosen |= {"device": chosen_device(chosen.get("device", Options.device))}
    return Options(dataset=dataset, model_arguments=arguments, asked=tuple(asked), **chosen)


def _parser(dataset: str, model_name: str | None) -> ScriptParser:
    parser = ScriptParser(dataset, model_name)
    told = defaults_of(Options) | dict.fromkeys(default_settings("lr", dataset))
    told |= {"data_path": DATA_PLACES[dataset], "protocol": usual_protocol(dataset)}
    elsewhere = {key for key, declared in options_of(Options).items() if not declared.is_of(dataset)}
    hidden = elsewhere | ({"model_name"} if model_name else set())
    add_options(parser, Options, told, hidden, _honest_ones() if dataset == OWN else {})
    if dataset != OWN:
        add_published_flags(parser, dataset)
    return parser


def _honest_ones() -> dict[str, Option]:
    """What the help of data of one's own says: protocols that leak are known, and refused with their reason."""
    honest = {name: each for name, each in PROTOCOLS.items() if not each.leaks}
    declared = options_of(Options)
    told = {name: replace(declared[name], help=_of_protocols(name, honest)) for name in SWITCHES}
    return told | {"protocol": replace(declared["protocol"], help="which rows test", choices=tuple(honest))}


def _require_honest(dataset: str, protocol: str) -> None:
    if dataset == OWN and PROTOCOLS[protocol].leaks:
        others = " or ".join(name for name, each in PROTOCOLS.items() if not each.leaks)
        raise InputError(
            f"--protocol {protocol} repeats what the papers' releases do with their own data, and leaks test labels. "
            f"For data of your own give {others}."
        )


def _require_tracker(name: str) -> None:
    """Raises `InputError` where its package is missing: before anything is read."""
    from experiment import tracking

    tracking.require(name)


def _idle(name: str, settings: Mapping[str, Any], patience: int) -> dict[str, Idle]:
    """What does nothing beside these settings. patience: the data set's."""
    model_class = MODELS[name].model_class
    idle = idle_settings(model_class, settings, Options)
    if "patience" not in idle_settings(model_class, {**settings, "patience": patience}):
        idle.pop("patience", None)  # a large one keeps training from ending by the default
    return idle


def _refuse_idle(name: str, idle: Mapping[str, Idle], given: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Raises `InputError` for what was given and does nothing. usual: defaults of options that the data set has."""
    model_class = MODELS[name].model_class
    neutral = {**constructor_defaults(model_class), **defaults_of(Options), **usual}
    for setting, reason in idle.items():
        lacking = setting in model_class.without_effect
        if setting in given and (lacking or given[setting] != neutral.get(setting)):
            own = setting not in MODELS[name].arguments or setting == "fe_score"
            option = "--dropout" if setting == "dnn_dropout" else f"--{'' if own else 'set '}{setting}"
            raise reason.refusal(option, name)
