"""What the README promises by name exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiment.options import parse_options
from leaderboard.report.pages import Results, filled, full_report, parts_of
from model import MODELS
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.mark.parametrize("name", sorted(parts_of(RESULTS)))
def test_each_table_has_one_place(name):
    places = [(ROOT / page).read_text().count(f"<!-- {name} -->") for page in ("README.md", "docs/serving.md")]
    assert sum(places) == 1


PAGES = ["README.md", "results/README.md", "benchmarks/README.md", "data/README.md"]
PAGES += sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    for target, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", (ROOT / page).read_text()):
        linked = folder / target if target else ROOT / page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked.read_text()), f"{target}#{anchor}"


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them.

    >>> anchors("# IntTower's heads, by `n`")
    {'inttowers-heads-by-n'}
    """
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    }
