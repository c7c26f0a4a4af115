"""The command line of the training scripts, checked and completed with the defaults of the model and the data set."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from experiment import torchrun
from experiment.arguments import MOST, Parser, as_annotated, folder, number, place, plain_value, suits
from experiment.published_flags import add_published_flags, translate
from foundation.errors import InputError
from model import MODELS, default_settings, find_model
from model.base import TwoTower
from model.effects import Idle, constructor_defaults, idle_settings
from model.layers.embedding_optimizer import EMBEDDING_OPTIMIZERS
from model.signature import keyword_parameters
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.protocol import PROTOCOLS
from preprocessing.taobao import PID_PLACEMENTS
from training import distributed
from training.precision import PRECISIONS
from training.trainer import LR_SCHEDULES

# Constructor arguments that have an option of their own, or none.
SCRIPT_ARGUMENTS = {"device", "gpus", "seed", "task", "dnn_dropout"}
FILLED_IN = ("user_static", "item_static")  # left out, they are those of the data set (`model.build_model`)
# Which data sets have options of their own, and where --data_path looks.
OWN_OPTIONS = {"movielens": (), "amazon": ("cache",), "taobao": ("cache", "sample_rate", "pid_placement")}
DATA_PLACES = {
    "movielens": "data/, else download, else the generated data, which `synthetic` asks for",
    "amazon": "data/amazon-electronics, else download",
    "taobao": "data/taobao-ads",
}
TRACKERS = ("tensorboard", "mlflow", "wandb")  # of `experiment.tracking`
# What leaving these out means; given so, they are nobody's request (`model.effects`).
NEUTRAL = {
    "lr_schedule": "constant",
    "precision": "fp32",
    "checkpoint_minutes": 5.0,
    "published_eval_mode": False,
    "pid_placement": "item",
}
# Of the default run folder's name: longer or stranger settings are told by a checksum.
LONGEST_NAME, SAFE = 80, re.compile(r"[A-Za-z0-9_.,=+-]+")
TRAINING = ("embedding_dim", "batch_size", "lr", "lr_schedule", "epochs", "patience")


@dataclass(frozen=True)
class Options:
    """Everything that a script needs to know.

    dataset: of which script ("movielens", ...).
    dropout: of the towers, None for a model without. embedding_optimizer: None leaves the choice to `compile`.
    model_arguments: all other arguments for its constructor.
    track: the tracker, or None for none. cache: folder of parsed tables, or None for none.
    sample_rate, pid_placement: of Taobao, None elsewhere.
    ckpt_fold: folder that holds the run folder; it has the model's name then.
    """

    model_name: str
    data_path: str | None
    protocol: str
    seed: int
    dropout: float | None
    embedding_dim: int
    batch_size: int
    lr: float
    lr_schedule: str
    embedding_optimizer: str | None
    epochs: int
    patience: int
    device: str
    precision: str
    max_rows: int | None
    out: str | None
    resume: bool
    quiet: bool
    checkpoint_minutes: float
    published_eval_mode: bool
    model_arguments: dict
    dataset: str
    overwrite: bool = False
    track: str | None = None
    cache: Path | None = None
    sample_rate: float | None = None
    pid_placement: str | None = None
    ckpt_fold: str | None = None

    @property
    def config(self) -> dict:
        """What decides the result, for `result.json`: all but places, appearances and the model's arguments."""
        apart = ("data_path", "out", "ckpt_fold", "resume", "overwrite", "quiet", "checkpoint_minutes", "cache")
        apart += ("dataset", "track")
        apart += ("dropout", "model_arguments")
        apart += tuple(name for name in ("sample_rate", "pid_placement") if getattr(self, name) is None)
        return {name: value for name, value in asdict(self).items() if name not in apart}


def parse_options(dataset: str, model_name: str | None = None, argv: list[str] | None = None) -> Options:
    """Reads the command line of a script on `dataset` ("movielens", ...).

    model_name: the script's only model; None lets the user choose with --model_name.
    Raises `InputError` for anything that is unknown, out of range or without effect.
    """
    given = vars(_parser(dataset, model_name).parse_args(argv))
    name = model_name or find_model(given["model_name"])
    translate(given, name, MODELS[name].arguments)
    settings = default_settings(name, dataset)
    training = {key: given[key] if given[key] is not None else settings[key] for key in TRAINING}
    if name == "gbdt" and torchrun.local_rank() is not None:
        raise InputError("gbdt trains in one process. Start the script without torchrun.")
    asked = _model_arguments(name, given)
    arguments = {key: value for key, value in settings.items() if key not in TRAINING} | asked
    if given["track"]:
        distributed.current().once(lambda: _require_tracker(given["track"]))
    idle = _idle(name, arguments | training)
    if "patience" not in _idle(name, arguments | training | {"patience": settings["patience"]}):
        idle.pop("patience", None)  # a large one keeps training from ending by the default
    _refuse_idle(name, idle, given | asked, {"patience": settings["patience"]})
    arguments = {key: value for key, value in arguments.items() if key in asked or key not in idle}
    no_dropout = 0.0 if "dnn_dropout" in MODELS[name].arguments else None
    return Options(
        model_name=name,
        **training,
        dropout=arguments.pop("dnn_dropout", no_dropout),
        model_arguments=arguments,
        dataset=dataset,
        device=_device(given["device"]),
        **{key: given[key] for key in ("data_path", "protocol", "seed", "precision", "max_rows", "out", "ckpt_fold")},
        embedding_optimizer=given["embedding_optimizer"],
        **{key: given[key] for key in ("resume", "overwrite", "quiet", "checkpoint_minutes", "published_eval_mode")},
        track=given["track"],
        **{key: given[key] for key in OWN_OPTIONS[dataset]},
    )


def _parser(dataset: str, model_name: str | None) -> Parser:
    parser = Parser(
        description=sys.modules["__main__"].__doc__,
        epilog=_defaults_text(dataset, [model_name] if model_name else list(MODELS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    if model_name is None:
        add("--model_name", required=True, metavar="NAME", help=f"{' '.join(MODELS)}; case, - and _ do not matter")
    add("--data_path", type=place, metavar="PATH", help=f"folder or file of the data; default: {DATA_PLACES[dataset]}")
    add(
        "--protocol",
        default="published",
        choices=PROTOCOLS,
        help="published (default; the papers' protocol, leaks test labels), holdout, temporal",
    )
    add("--seed", "--random_seed", type=number(int, 0, 2**32 - 1), default=1023, metavar="N", help="default 1023")
    add("--epoch", dest="epochs", type=number(int, 1), metavar="N", help="passes over the training rows at most")
    add("--batch_size", type=number(int, 2), metavar="N", help="rows a training step")
    add("--lr", type=number(float, 0, low_open=True), metavar="X", help="learning rate of Adam")
    add("--lr_schedule", choices=LR_SCHEDULES, help="constant, or linear: falls to 0 over all epochs")
    add(
        "--embedding_optimizer",
        choices=EMBEDDING_OPTIMIZERS,
        help="dense updates all rows of the embedding tables in each step, rowwise those of the batch; default by size",
    )
    add("--dropout", type=number(float, 0, 1, high_open=True), metavar="X", help="share of units dropped in the towers")
    add("--embedding_dim", type=number(int, 1), metavar="N", help="size of a feature's embedding")
    add("--patience", type=number(int, 1), metavar="N", help="epochs without a better validation AUC before stopping")
    add("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda, cuda:N")
    add(
        "--precision",
        default=NEUTRAL["precision"],
        choices=PRECISIONS,
        help="fp32 (default), bf16 (refused where it would be slower), bf16_forced",
    )
    add("--fe_score", choices=("all", "last"), help="levels of IntTower's FE-Block that are scored")
    add(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other argument of the model's constructor, as --set cir_weight=0.1; may be repeated",
    )
    add("--published_eval_mode", action="store_true", help="reproduce the published loop's evaluation-mode defect")
    add("--max_rows", type=number(int, 1), metavar="N", help="only the first N interactions in time order")
    add(
        "--out",
        type=place,
        metavar="DIR",
        help="run folder; default runs/<dataset>/<model>/<protocol>-seed<seed>, and what differs from the defaults",
    )
    add(
        "--resume",
        action="store_true",
        help="continue the interrupted run in the run folder; without one start, and after a finished one do nothing",
    )
    add("--overwrite", action="store_true", help="replace a finished run with other settings or data in the run folder")
    add("--track", choices=TRACKERS, help="settings and figures of the run in this tracker as well (docs/tracking.md)")
    add(
        "--checkpoint_minutes",
        type=number(float, 0, low_open=True),
        default=NEUTRAL["checkpoint_minutes"],
        metavar="X",
        help="time between checkpoints inside an epoch (default 5); one is written after every epoch anyway",
    )
    add("--quiet", action="store_true", help="print nothing but the closing table and warnings")
    if "cache" in OWN_OPTIONS[dataset]:
        caching = parser.add_mutually_exclusive_group()
        caching.add_argument(
            "--cache_dir",
            dest="cache",
            type=folder,
            default=DEFAULT_CACHE,
            metavar="DIR",
            help=f"where parsed tables are kept for the next start; default {DEFAULT_CACHE}",
        )
        caching.add_argument("--no_cache", dest="cache", action="store_const", const=None, help="parse every time")
    if "sample_rate" in OWN_OPTIONS[dataset]:
        add(
            "--sample_rate",
            type=number(float, 0, 1, low_open=True),
            default=1.0,
            metavar="X",
            help="random share of the interactions that is kept; default 1, published for HIT: 0.3",
        )
    if "pid_placement" in OWN_OPTIONS[dataset]:
        add(
            "--pid_placement",
            choices=PID_PLACEMENTS,
            default="item",
            help="side of the ad's position: item (default, as published), or request, for one vector an ad",
        )
    add_published_flags(parser, dataset)
    return parser


def _defaults_text(dataset: str, names: list[str]) -> str:
    lines = [f"  {name}: {' '.join(f'{k}={v}' for k, v in default_settings(name, dataset).items())}" for name in names]
    return "\n".join(["defaults on this data set:", *lines])


def _model_arguments(name: str, given: dict) -> dict:
    """Constructor arguments from --dropout, --fe_score and --set. One that the model does not take is an error."""
    known = MODELS[name].arguments
    arguments: dict[str, Any] = {}
    for option, argument in (("dropout", "dnn_dropout"), ("fe_score", "fe_score")):
        if given[option] is not None:
            if argument not in known:
                raise InputError(f"--{option} has no effect on {name}. Leave it out.")
            arguments[argument] = given[option]
    for entry in given["set"]:
        argument, separator, text = entry.partition("=")
        if not separator or argument not in known - SCRIPT_ARGUMENTS:
            free = ", ".join(sorted(known - SCRIPT_ARGUMENTS))
            raise InputError(f"--set expects NAME=VALUE with an argument of {name}. Received {entry!r}. Known: {free}.")
        if argument in arguments:
            raise InputError(f"{argument} of {name} is set twice. Received: {entry!r} as well. Leave one out.")
        value, annotation = plain_value(text), keyword_parameters(MODELS[name].model_class)[argument].annotation
        if not suits(value, annotation):
            kind = getattr(annotation, "__name__", None) if isinstance(annotation, type) else str(annotation)
            most = f", whole numbers at most {MOST[int]}" if "int" in kind else ""
            raise InputError(f"--set {argument} of {name} must be of type {kind}{most}. Received: {text[:80]!r}.")
        arguments[argument] = as_annotated(value, annotation)
    return arguments


def _require_tracker(name: str) -> None:
    """Raises `InputError` where its package is missing: before anything is read."""
    from experiment import tracking

    tracking.require(name)


def _idle(name: str, settings: dict) -> dict[str, Idle]:
    """What does nothing beside these settings: arguments of the constructor, and options of the command line."""
    model_class = MODELS[name].model_class
    idle = idle_settings(model_class, settings)
    if not issubclass(model_class, TwoTower):
        idle["pid_placement"] = Idle("which reads the features of both sides in one place")
    return idle


def _refuse_idle(name: str, idle: dict[str, Idle], given: dict, usual: dict) -> None:
    """Raises `InputError` for what was given and does nothing. usual: defaults that the data set alone has."""
    neutral = {**constructor_defaults(MODELS[name].model_class), **NEUTRAL, **usual}
    for setting, reason in idle.items():
        if given.get(setting) not in (None, neutral.get(setting)):
            own = (setting in given and setting not in MODELS[name].arguments) or setting == "fe_score"
            option = "--dropout" if setting == "dnn_dropout" else f"--{'' if own else 'set '}{setting}"
            raise reason.refusal(option, name)


def _device(name: str) -> str:
    """The device that is meant. Under torchrun each process has its own, by its number on this machine."""
    place = torchrun.local_rank()
    if place is not None and torch.cuda.is_available() and name != "cpu":
        if name not in ("auto", "cuda"):
            raise InputError(f"Under torchrun each process takes the GPU of its number. Received: --device {name}.")
        if place >= torch.cuda.device_count():
            raise InputError(
                f"There are more processes than the {torch.cuda.device_count()} CUDA devices of this machine. "
                "Lower --nproc_per_node, or use --device cpu."
            )
        return f"cuda:{place}"
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise InputError(f"Unknown device '{name}'. Known: auto, cpu, cuda, cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"Device '{name}' is not there: {torch.cuda.device_count()} CUDA devices. Use --device auto.")
    return name


def run_folder(options: Options, dataset_name: str, model_name: str) -> Path:
    """--out, --ckpt_fold, or the default place of this run: it has what differs from the defaults in its name."""
    if options.out:
        return Path(options.out)
    if options.ckpt_fold:
        return Path(options.ckpt_fold, model_name)
    name = f"{options.protocol}-seed{options.seed}"
    usual = _settings(parse_options(options.dataset, None, ["--model_name", options.model_name]))
    unusual = {key: value for key, value in _settings(options).items() if (key, value) not in usual.items()}
    if unusual:
        readable = "-".join(f"{key}={_short(value)}" for key, value in unusual.items())
        digest = hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()[:10]
        name += f"-{readable if SAFE.fullmatch(readable) and len(readable) <= LONGEST_NAME else digest}"
    return Path("runs", dataset_name, model_name, name)


def _settings(options: Options) -> dict:
    """What decides the result, but for what is in the path anyway, and the device."""
    apart = ("model_name", "protocol", "seed", "max_rows", "sample_rate", "device")
    settings = {name: value for name, value in options.config.items() if name not in apart}
    told = without_defaults(options.model_name, options.dataset, options.model_arguments)
    return settings | {"dropout": options.dropout} | told


def without_defaults(model_name: str, dataset: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Constructor arguments without those that say what leaving them out says: equal settings are one run."""
    if model_name not in MODELS:
        return arguments
    usual = constructor_defaults(MODELS[model_name].model_class)
    apart = default_settings(model_name, dataset).keys() | FILLED_IN
    return {key: value for key, value in arguments.items() if key in apart or value != usual.get(key)}


def _short(value) -> str:
    """Lists as their entries, true and false as in JSON."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(_short, value))
    return value if isinstance(value, str) else json.dumps(value)
