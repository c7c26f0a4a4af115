"""Every link of every page leads somewhere, and every page that the code names is there."""

from __future__ import annotations

import pytest
from page_blocks import FILES, PAGES, read
from page_links import broken, broken_names, links

CODE = [name for name in FILES if name.endswith(".py") and not name.endswith("/test_links.py")]
# A small repository: what a link may lead to.
TEXTS = {"README.md": "# Use it\n## Use it\n", "docs/a.md": "# A", "figure/p.png": "", "data/README.md": ""}
FINE = [
    "[a](docs/a.md)",
    "[a](docs/a.md#a)",
    "[b](#use-it-1)",
    '[a](<docs/a.md> "A")',
    "[folder](docs)",
    "[a][the a]\n\n[the a]: docs/a.md",
    "[a][]\n\n[A]: docs/a.md",
    "![p](figure/p.png)",
    '<img src="figure/p.png">',
    '<source srcset="figure/p.png 1x, figure/p.png 2x">',
    "<https://example.org/x?y=1#z>",
    "`[a](b.md)` and\n```text\n[a](b.md)\n```",
    "<!-- [a](b.md) -->",
]
BROKEN = [
    "[a](docs/b.md)",
    "[a](docs/a.md#b)",
    "[a](#use-it-2)",
    "[a]()",
    "[a](/docs/a.md)",
    "[a](../docs/a.md)",
    "[a](../../issues)",
    "[a](figure/p.png#a)",
    "[a][the b]\n\n[the a]: docs/a.md",
    "[the a]: docs/b.md",
    "![p](figure/q.png)",
    "[![p](figure/p.png)](docs/b.md)",
    '<img src="figure/q.png">',
    '<source srcset="figure/p.png 1x, figure/q.png 2x">',
    '<a href="docs/b.md">',
    "<http://example.org>",
    "[a](https://example)",
    "[a](https:/example.org)",
    "see http://example.org.",
    "[data](data/ml-1m)",
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert broken(page, read(page), FILES, read) == []


def test_pages_that_the_code_names_are_there():
    assert {name: found for name in CODE if (found := broken_names(read(name), FILES, read))} == {}


@pytest.mark.parametrize("text", FINE)
def test_a_good_link_is_none_of_the_broken(text):
    assert broken("README.md", TEXTS["README.md"] + text, TEXTS, TEXTS.get) == []


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_link_is_found(text):
    assert len(broken("README.md", TEXTS["README.md"] + text, TEXTS, TEXTS.get)) == 1


def test_a_link_is_read_from_the_folder_of_its_page():
    assert broken("docs/a.md", "[up](../README.md#use-it) [beside](a.md)", TEXTS, TEXTS.get) == []
    assert len(broken("docs/a.md", "[up](README.md) [out](../../README.md)", TEXTS, TEXTS.get)) == 2


def test_a_name_in_code_is_found():
    folder = "docs/"
    assert broken_names(f'"see {folder}a.md and {folder}a.md#a"', TEXTS, TEXTS.get) == []
    assert broken_names(f"# {folder}b.md, {folder}a.md#b", TEXTS, TEXTS.get) == ["docs/b.md#", "docs/a.md#b"]


def test_pages_have_links():
    """What reads them finds some."""
    assert sum(len(links(read(page))) for page in PAGES) > 100
