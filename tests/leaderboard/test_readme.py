"""What the pages promise exists, and every number of a result on them comes from the results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leaderboard.board import Results
from leaderboard.data_sets import DATASET
from leaderboard.pages import PAGES, filled, project_tables
from leaderboard.prose import MARKED, Numbers
from model import MODELS
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
EVERY = Results.load_all(ROOT / "results")
RESULTS = EVERY[DATASET]
TABLES = project_tables(EVERY)


def test_every_model_and_protocol_is_listed():
    models = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert [name for name in MODELS if f"`{name}`" not in models] == []
    assert [name for name in PROTOCOLS if f"`{name}`" not in README] == []


@pytest.mark.parametrize("page", PAGES)
def test_tables_and_numbers_are_those_of_the_results(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert filled(text, TABLES, Numbers(RESULTS)) == text, "run: python benchmark.py --report"


# What looks like the number of a result: 0.123, ±, 1.2 ms, p = 0.1.
RESULT_LIKE = re.compile(r"\b0\.\d{3,}|±\s*\d|\d ms\b|\bp [<=] ?0")


@pytest.mark.parametrize("page", PAGES)
def test_every_number_of_a_result_in_prose_stands_between_markers(page):
    """In each section that has markers at all; the others tell of what no file is kept of."""
    for section in re.split(r"^(?=#+ )", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE):
        if MARKED.search(section):
            prose = re.sub(r"^```.*?^```|^\|.*?$", "", MARKED.sub("", section), flags=re.MULTILINE | re.DOTALL)
            assert RESULT_LIKE.findall(prose) == [], section.splitlines()[0]


@pytest.mark.parametrize("name", sorted(TABLES))
def test_each_table_has_a_place(name):
    assert any(f"<!-- {name} -->" in (ROOT / page).read_text(encoding="utf-8") for page in PAGES)
