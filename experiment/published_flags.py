"""Options of the published scripts' command lines that this project has others for, as those others.

What one of them can no longer mean is said on standard error (under torchrun by the main process alone).
"""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

import torch

from experiment.arguments import Parser, number, place
from experiment.torchrun import local_rank
from foundation.errors import InputError
from foundation.shown import visible
from published.taobao_place import taobao_folder

TRUTH = {"true": True, "false": False, "1": True, "0": False}
TAOBAO_PATHS = ("profile_path", "ad_path", "user_path")


def add_published_flags(parser: Parser, dataset: str) -> None:
    group = parser.add_argument_group("as in the published scripts (docs/published_code.md)")
    add = group.add_argument
    add("--ckpt_fold", type=place, metavar="DIR", help="the run folder is DIR/<model>; instead of --out")
    add("--use_cuda", type=_truth, metavar="true|false", help="a GPU if there is one, or the CPU; instead of --device")
    add("--cuda_number", type=_cuda, metavar="cuda:N", help="which GPU, if there is one; instead of --device")
    add("--ouput_head", type=number(int, 1), metavar="N", help="HIT's num_heads; instead of --set num_heads=N")
    if dataset == "taobao":
        for name, file in zip(TAOBAO_PATHS, ("raw_sample.csv", "ad_feature.csv", "user_profile.csv"), strict=True):
            add(f"--{name}", type=place, metavar="FILE", help=f"{file}; all three, instead of --data_path")


def _truth(text: str) -> bool:
    if text.lower() not in TRUTH:
        raise ArgumentTypeError(f"{text!r} is neither true nor false")
    return TRUTH[text.lower()]


def _cuda(text: str) -> str:
    if not re.fullmatch(r"cuda(:[0-9]{1,3})?", text):
        raise ArgumentTypeError(f"{text!r} is not cuda or cuda:N")
    return text


def translate(given: dict[str, Any], model_name: str, model_arguments: set[str]) -> None:
    """Replaces what these options say by what it is here, in `given`: the parsed command line.

    Raises `InputError` for what contradicts another option, and for what has no effect.
    """
    notes = []
    if "ckpt_fold" in given:
        if "out" in given:
            raise _twice("--ckpt_fold", "--out")
        model = visible(Path(given["ckpt_fold"], "MODEL"))  # whose name an edited model line decides
        notes.append(f"--ckpt_fold: the weights of a model are {model}/model.safetensors, and not {model}.ckpt.")
    if "ouput_head" in given:
        _heads(given, model_name, model_arguments)
    if "use_cuda" in given or "cuda_number" in given:
        notes += _device(given)
    paths = [given[name] for name in TAOBAO_PATHS if name in given]
    if paths:
        if "data_path" in given:
            raise _twice(f"--{', --'.join(TAOBAO_PATHS)}", "--data_path")
        if len(paths) < len(TAOBAO_PATHS):
            raise InputError(f"Give --{', --'.join(TAOBAO_PATHS)} all three, or --data_path with their folder.")
        given["data_path"] = str(taobao_folder(*paths))
    for note in notes:
        print(f"note: {note}", file=sys.stderr, flush=True)


def _twice(option: str, other: str) -> InputError:
    return InputError(f"{option} and {other} say the same thing. Leave one out.")


def _heads(given: dict[str, Any], model_name: str, model_arguments: set[str]) -> None:
    if "num_heads" not in model_arguments:
        others = [f"--set {name}=N" for name in ("user_head", "item_head") if name in model_arguments]
        instead = f", or give {' and '.join(others)}" if others else ""
        raise InputError(
            f"--ouput_head has no effect on {model_name}: it is HIT's number of heads. Leave it out{instead}."
        )
    if any(entry.partition("=")[0] == "num_heads" for entry in given.get("set", [])):
        raise _twice("--ouput_head", "--set num_heads")
    given["set"] = [*given.get("set", []), f"num_heads={given['ouput_head']}"]


def _device(given: dict[str, Any]) -> list[str]:
    """Sets `device`. -> what is to be said."""
    device, number = given.get("device", "auto"), given.get("cuda_number")
    if given.get("use_cuda") is False:
        if number is not None:
            raise InputError("--cuda_number has no effect beside --use_cuda false. Leave one out.")
        if device not in ("auto", "cpu"):
            raise InputError(f"--use_cuda false contradicts --device {device}. Leave one out.")
        given["device"] = "cpu"
        return []
    option = "--use_cuda true" if number is None else f"--cuda_number {number}"
    if device != "auto" and (device == "cpu" or number not in (None, device)):
        raise InputError(f"{option} contradicts --device {device}. Leave one out.")
    if number is not None and local_rank() is not None:
        raise InputError("Under torchrun each process takes the GPU of its number. Leave --cuda_number out.")
    if device == "auto" and not torch.cuda.is_available():
        return [f"{option}: there is no CUDA, so this trains on the CPU."]
    given["device"] = number or device
    return []
