"""Texts of anybody's data as Markdown: they show as they are, and end nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.markdown import code, code_block, literal, table
from foundation.shown import visible

special = st.text("\\`*_{}[]<>#|~&$\n ab", max_size=30)


def unescaped(text: str) -> str:
    """As a reader of Markdown takes a text outside of code."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


@given(st.text() | special)
def test_a_literal_text_shows_as_it_is(text):
    shown = literal(text)
    assert "\n" not in shown
    assert unescaped(shown) == (visible(text).strip() or '""')
    assert not re.search(r"[`*_<>|\[\]~]", re.sub(r"\\.", "", shown))  # all are escaped


@given(special)
def test_a_cell_stays_one_cell(text):
    for cell in (literal(text), code(text)):
        lines = table(["name", "value"], [[cell, "1"]]).splitlines()
        assert [len(re.split(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines] == [4, 4, 4]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("lr", "`lr`"),
        ("a|b", "a\\|b"),
        ("a`b", "a\\`b"),
        ("a\\", "a\\\\"),
        ("", '""'),
        (" a ", "`a`"),
        ("a\nb", "`a b`"),
    ],
)
def test_code_where_it_can_be_code(text, shown):
    assert code(text) == shown


@given(st.text("`\nab ", max_size=30))
def test_a_block_of_code_ends_where_its_text_ends(text):
    first, *lines, last = code_block("shell", text).split("\n")
    assert first == f"{last}shell"
    assert "\n".join(lines) == text
    assert not any(line.strip().startswith(last) for line in lines)
