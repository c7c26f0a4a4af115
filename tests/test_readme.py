"""What the README promises by name exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.readme_tables import filled
from experiment.options import parse_options
from model import MODELS
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_every_model_and_protocol_is_listed():
    for name in (*MODELS, *PROTOCOLS):
        assert f"`{name}`" in README, name


def test_its_tables_are_those_of_the_models_and_results():
    assert filled(README) == README, "run: python -m benchmarks.readme_tables"


def test_a_result_file_changes_the_table(tmp_path):
    run = tmp_path / "ml-1m" / "holdout" / "dat" / "seed1023.json"
    run.parent.mkdir(parents=True)
    run.write_text(json.dumps({"test": {"auc": 0.87654, "logloss": 0.34321, "gauc": 0.8}}))
    assert "| DAT | .8712 / .4556 |  | .8765 / .3432 / .8000 |  |" in filled(README, tmp_path).splitlines()


@pytest.mark.parametrize("command", re.findall(r"^python (train_\w+\.py)(.*)$", README, flags=re.MULTILINE))
def test_its_commands_are_valid(command):
    script, arguments = command
    assert (ROOT / script).is_file()
    parse_options("movielens", "int_tower" if "IntTower" in script else None, arguments.split())


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
