"""An option of training is declared in one place: what is made from the declaration, and what it allows."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_type_hints

import pytest

from experiment.options import Options, parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from foundation.options import option, options_of, takes_options
from foundation.precisions import ALIASES
from model.base import CTRModel
from training.options import FitOptions, TrainOptions

ROOT = Path(__file__).resolve().parents[2]
FIELD = """
    warmup_steps: int = option("steps in which the rate grows", 0, least=0, needs={GRADIENTS: "which takes none"})
"""
PROGRAM = """
import inspect, json
from experiment.options import _parser, parse_options
from experiment.run_name import run_folder
from foundation.errors import InputError
from model.base import CTRModel
from training.options import TrainOptions

def refusal(do):
    try:
        do()
    except InputError as error:
        return str(error)

usual, given = (parse_options("movielens", "dssm", argv) for argv in ([], ["--warmup_steps", "3"]))
print(json.dumps({
    "help": _parser("movielens", "dssm").format_help(),
    "fit": inspect.signature(CTRModel.fit).parameters["warmup_steps"].default,
    "config": [options.config["warmup_steps"] for options in (usual, given)],
    "handed to fit": given.fit_arguments["warmup_steps"],
    "folders": [str(run_folder(options, "ml-1m", "dssm")) for options in (usual, given)],
    "out of range": refusal(lambda: TrainOptions(warmup_steps=-1)),
    "useless": refusal(lambda: parse_options("movielens", "gbdt", ["--warmup_steps", "3"])),
}))
"""


def test_a_new_option_is_a_change_of_one_file(tmp_path):
    for package in sorted(path.parent.name for path in ROOT.glob("*/__init__.py")):
        shutil.copytree(ROOT / package, tmp_path / package)
    declarations = tmp_path / "training" / "options.py"
    before, last, after = declarations.read_text(encoding="utf-8").partition("    verbose: int = 1\n")
    declarations.write_text(before + FIELD + last + after, encoding="utf-8")
    argv = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "--warmup_steps N" in found["help"]
    assert "steps in which the rate grows; default 0" in found["help"]
    assert found["fit"] == 0
    assert found["config"] == [0, 3]
    assert found["handed to fit"] == 3
    assert found["folders"] == [
        "runs/ml-1m/dssm/published-seed1023",
        "runs/ml-1m/dssm/published-seed1023-warmup_steps=3",
    ]
    assert found["out of range"] == "warmup_steps must be at least 0. Received: -1."
    assert found["useless"] == "--warmup_steps has no effect on gbdt, which takes none. Leave it out."


def test_fit_shows_every_option_with_its_default():
    shown = inspect.signature(CTRModel.fit).parameters
    assert {each.name: each.default for each in fields(TrainOptions)} == {
        each.name: TrainOptions.batch_size if each.name == "batch_size" else shown[each.name].default
        for each in fields(TrainOptions)
    }
    assert not any(each.kind is each.VAR_KEYWORD for each in shown.values())


def test_what_a_type_checker_reads_of_fit_is_what_it_takes():
    deepctr = ("batch_size", "epochs", "verbose", "initial_epoch", "shuffle")  # as it names them itself
    hints = get_type_hints(TrainOptions)
    assert get_type_hints(FitOptions) == {name: hint for name, hint in hints.items() if name not in deepctr}


def test_options_of_the_scripts_are_those_of_training_and_more():
    assert options_of(TrainOptions).keys() < options_of(Options).keys()
    flags = [flag for each in options_of(Options).values() for flag in each.flags]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize(("old", "new"), ALIASES.items())
def test_both_spellings_of_a_precision_are_one_run(old, new):
    assert TrainOptions(precision=old) == TrainOptions(precision=new)
    options = [parse_options("movielens", "dssm", ["--precision", name]) for name in (old, new)]
    assert options[0] == options[1]
    assert options[0].config["precision"] == new
    assert len({run_folder(each, "ml-1m", "dssm") for each in options}) == 1


@dataclass(frozen=True)
class Own:
    rate: float = option("a share", 0.5, least=0, below=1)
    count: int | None = option("of things", None, least=2)
    kind: Literal["a", "b"] = option("of two", "a", aliases={"A": "a"})
    plain: int = 3


class TestDeclaration:
    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("rate", 1, r"rate must be a number, at least 0 and below 1\. Received: 1\."),
            ("rate", float("nan"), "rate must be a number"),
            ("rate", "much", "Received: 'much'"),
            ("rate", None, "Received: None"),
            ("count", 1, r"count must be at least 2\. Received: 1\."),
            ("count", 2.5, "count must be a whole number"),
            ("kind", "c", r"Unknown kind 'c'\. Known: a, b\."),
            ("kind", None, "Unknown kind None"),
            ("kind", ["a"], "Unknown kind"),
        ],
    )
    def test_what_it_does_not_allow_is_refused(self, name, value, message):
        with pytest.raises(InputError, match=message):
            options_of(Own)[name].check(value)

    @pytest.mark.parametrize(("name", "value", "taken"), [("rate", 0, 0), ("count", None, None), ("kind", "A", "a")])
    def test_what_it_allows_is_taken(self, name, value, taken):
        assert options_of(Own)[name].check(value) == taken

    def test_a_field_without_a_declaration_is_no_option(self):
        assert list(options_of(Own)) == ["rate", "count", "kind"]

    def test_a_function_shows_those_that_it_does_not_name_itself(self):
        @takes_options(Own)
        def function(first, count=7, *, other=1, **further):
            return further

        assert str(inspect.signature(function)).startswith("(first, count=7, *, other=1, rate: 'float' = 0.5, kind:")
        assert function(1, rate=2) == {"rate": 2}
