"""Pages are in plain English for readers who learned it: short sentences, no idioms, numbers with their zero."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "results/README.md", "benchmarks/README.md", "data/README.md"]
PAGES += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
README_WORDS, README_LINES = 1800, 200
MEAN_WORDS, MOST_WORDS = 25, 40
IDIOMS = (
    "can be told apart|cannot be told|half stands|borne out|given again|at will|as it stands|hands? on|so to speak"
    "|out of the box|under the hood|by and large|in a nutshell|rule of thumb|boils down|-fifth of the time"
)
CODE = re.compile(r"^ *(```|~~~).*?^ *\1", flags=re.MULTILINE | re.DOTALL)
TAGS = re.compile(r"<!--.*?-->|<[^>]+>", flags=re.DOTALL)
LINES = re.compile(r"^ *\|.*$|^#+ .*$", flags=re.MULTILINE)  # of tables, and headings


def prose(text: str) -> str:
    """Without code, tables, headings, comments and the targets of links; the text of a code span is one word.

    >>> prose("# T\\n\\nSee [the page](x.md), `a b`.\\n\\n| a |\\n")
    '\\n\\nSee the page, x.\\n\\n\\n'
    """
    text = LINES.sub("", TAGS.sub("", CODE.sub("", text)))
    text = re.sub(r"!?\[([^]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"`[^`]+`", "x", text)


def sentences(text: str) -> list[list[str]]:
    """Their words. A list item or a paragraph ends a sentence; an abbreviation and a decimal point do not.

    >>> [len(words) for words in sentences("One is 0.5. Two, e.g. this, is it.\\n\\n- three\\n- four words")]
    [3, 5, 1, 2]
    """
    parts = re.split(r"\n\s*\n|\n\s*(?:[-*]|\d+\.) |\A\s*(?:[-*]|\d+\.) ", prose(text))
    split = [re.split(r"(?<=[.!?])[\"')*]*\s+(?=[A-Z*\"'(\[x])", part) for part in parts]
    words = [re.findall(r"[^\W_][\w'&%.,-]*", sentence) for part in split for sentence in part]
    return [found for found in words if found]


@pytest.mark.parametrize("page", PAGES)
class TestPage:
    def test_begins_with_a_title_and_what_it_is_for(self, page):
        title, first = (ROOT / page).read_text(encoding="utf-8").split("\n\n")[:2]
        assert title.startswith("# ")
        assert re.match(r"[A-Z*`\[]", first), "the first paragraph is prose"

    def test_sentences_are_short(self, page):
        found = sentences((ROOT / page).read_text(encoding="utf-8"))
        long = [" ".join(words) for words in found if len(words) > MOST_WORDS]
        assert not long
        assert sum(map(len, found)) / len(found) < MEAN_WORDS

    def test_there_is_no_idiom_and_no_number_without_its_zero(self, page):
        text = prose((ROOT / page).read_text(encoding="utf-8"))
        assert re.findall(IDIOMS, text, flags=re.IGNORECASE) == []
        assert re.findall(r"(?<![\w.])\.\d\d+", text) == []


def test_the_readme_stays_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= README_WORDS
    assert len(text.splitlines()) <= README_LINES


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@pytest.mark.parametrize("found", ["the two cannot be told apart", "an AUC of .8967"])
def test_what_is_looked_for_is_found(found):
    assert re.search(IDIOMS, found) or re.search(r"(?<![\w.])\.\d\d+", found)
