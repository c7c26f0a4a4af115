"""The command line of a training script, made from the declarations of its options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from experiment.arguments import Parser, folder, number, place
from experiment.defaults import OWN_RELEASE, released
from experiment.model_arguments import listed_arguments
from foundation.options import Option, options_of
from model import MODELS, default_settings, find_model

GROUPS = MODEL, DATA, TRAINING, RUN = "model", "data", "training", "run"


class ScriptParser(Parser):
    """Says at the end of its help what the defaults are, and what --set takes for the model that is named beside it."""

    def __init__(self, dataset: str, model_name: str | None):
        super().__init__(
            description=sys.modules["__main__"].__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
            argument_default=argparse.SUPPRESS,  # what is not given is not there
        )
        self.dataset, self.model_name = dataset, model_name

    def parse_known_args(self, args=None, namespace=None):
        words = sys.argv[1:] if args is None else list(args)
        if {"-h", "--help"} & set(words):
            first = Parser(add_help=False, allow_abbrev=False)
            first.add_argument("--model_name", nargs="?")
            first.add_argument("--as_released", nargs="?", const=OWN_RELEASE)
            beside = first.parse_known_args(words)[0]
            self.epilog = _defaults_and_settings(self.dataset, self.model_name or beside.model_name, beside.as_released)
        return super().parse_known_args(words, namespace)


def _defaults_and_settings(dataset: str, named: str | None, release: str | bool | None) -> str:
    """named: the model, None if none is. release: of which its form is, as of `usual_settings`; read beside a name."""
    if named is None:
        every = {name: default_settings(name, dataset) for name in MODELS}
    else:
        name = find_model(named)
        every = {name: default_settings(name, dataset) if release is None else released(name, dataset, release)}
    lines = ["defaults on this data set:" if named is None or release is None else "defaults as released:"]
    for name, settings in every.items():
        lines.append(f"  {name}: " + " ".join(f"{key}={value}" for key, value in settings.items()))
    if named is None:
        return "\n".join([*lines, "", "--model_name NAME --help lists what --set takes for that model"])
    arguments = (f"  {line}" for line in listed_arguments(name, every[name]))
    return "\n".join([*lines, "", f"--set takes for {name}:", *arguments])


def add_options(
    parser: argparse.ArgumentParser,
    declarations: type,
    defaults: Mapping[str, Any],
    leave_out: Collection[str],
    told: Mapping[str, Option],
) -> None:
    """Adds the options of a dataclass that have a spelling, in their groups.

    defaults: those that the help names.  told: by name, what the help says instead of some declarations.
    """
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    for name, declared in options_of(declarations).items():
        if declared.flags and name not in leave_out:
            _add(groups[declared.group], declared, defaults.get(name), told.get(name, declared))
    model = groups[MODEL]
    model.add_argument("--fe_score", choices=("all", "last"), help="levels of IntTower's FE-Block that are scored")
    model.add_argument(
        "--set",
        action="append",
        metavar="NAME=VALUE",
        help="any other argument of the model's constructor, as --set cir_weight=0.1; may be repeated",
    )


def _add(group: Any, declared: Option, default: Any, told: Option) -> None:
    usual = "" if default is None or declared.kind is bool else f"; default {default}"
    further: dict[str, Any] = {"help": f"{told.help}{usual}".replace("%", "%%")}
    if not declared.flags[0].startswith("-"):  # it has its place
        group.add_argument(declared.name, nargs="?", type=_converter(declared), metavar=declared.metavar, **further)
        return
    further["dest"] = declared.name
    if declared.off:
        group = group.add_mutually_exclusive_group()
    if declared.kind is bool:
        group.add_argument(*declared.flags, action="store_true", **further)
    else:
        if declared.bare is not None:
            further |= {"nargs": "?", "const": declared.bare}
        choices = "{" + ",".join(told.choices) + "}"
        further |= {"choices": declared.choices} if declared.choices else {}
        further |= {"metavar": choices if declared.choices else declared.metavar}
        group.add_argument(*declared.flags, type=_converter(declared), required=declared.required, **further)
    if declared.off:  # behind it, as its help reads on from the one before
        flag, what = declared.off
        value = False if declared.kind is bool else None
        group.add_argument(flag, dest=declared.name, action="store_const", const=value, help=what)


def _converter(declared: Option) -> Callable[[str], Any]:
    """A text of the command line -> the value."""
    if declared.choices:
        return lambda text: declared.aliases.get(text, text)
    if declared.kind in (int, float):
        bounds = {"above": declared.above, "most": declared.most, "below": declared.below}
        return number(declared.kind, declared.least, **bounds)
    return {Path: folder, str: place}[declared.kind]
