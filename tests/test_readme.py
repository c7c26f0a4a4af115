"""What the README promises by name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiment.options import parse_options
from leaderboard.report.pages import Results, filled, full_report
from model import MODELS
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
RESULTS = Results.load(ROOT / "results" / "ml-1m")


def test_every_model_and_protocol_is_listed():
    for name in (*MODELS, *PROTOCOLS):
        assert f"`{name}`" in README, name


def test_its_tables_are_those_of_the_models_and_results():
    assert filled(README, RESULTS) == README, "run: python benchmark.py --report"


def test_the_full_report_is_that_of_the_results():
    full = (ROOT / "results" / "README.md").read_text()
    assert full_report(RESULTS) == full, "run: python benchmark.py --report"


@pytest.mark.parametrize("command", re.findall(r"^python (train_\w+\.py)(.*)$", README, flags=re.MULTILINE))
def test_its_commands_are_valid(command):
    script, arguments = command
    assert (ROOT / script).is_file()
    parse_options("movielens", "int_tower" if "IntTower" in script else None, arguments.split())


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
