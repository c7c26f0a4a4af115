"""The fast reader of Python literals gives what `ast.literal_eval` gives, and runs nothing."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from preprocessing.literal import _plain_entries, read_entries, read_entries_slow, read_literal

NAMES = ("asin", "price", "categories")
TEXTS = st.text(max_size=12) | st.sampled_from(
    ["Bob's", '"', "'", "\\", 'it\'s "both"', "', 'asin': 'x", "\u2028", "é"]
)
ATOMS = TEXTS | st.integers() | st.floats() | st.none() | st.booleans()
VALUES = st.one_of(
    ATOMS,
    st.lists(ATOMS, max_size=4),
    st.lists(st.lists(TEXTS, max_size=3), max_size=3),
    st.dictionaries(TEXTS, ATOMS | st.lists(TEXTS, max_size=3), max_size=3),
    st.tuples(ATOMS),
    st.sets(st.integers(), max_size=2),
)
DICTS = st.dictionaries(st.sampled_from([*NAMES, "title", "related"]) | TEXTS, VALUES, max_size=6)


def same(line: str) -> None:
    results = read_entries(line, NAMES), read_entries_slow(line, NAMES)
    # As they print, NaN equals itself and 1 does not equal True.
    fast, slow = (
        None if result is None else {name: repr(value) for name, value in result.items()} for result in results
    )
    assert fast == slow


class TestEqualsTheSlowVersion:
    @settings(max_examples=200)
    @given(entries=DICTS)
    def test_printed_dicts(self, entries):
        same(repr(entries))

    @settings(max_examples=200)
    @given(entries=DICTS, data=st.data())
    def test_damaged_ones(self, entries, data):
        line = repr(entries)
        start, end = sorted(data.draw(st.tuples(st.integers(0, len(line)), st.integers(0, len(line)))))
        middle = data.draw(
            st.sampled_from(["", "'", '"', "\\", ", ", "}", "{", "[", "]", ":", "0", "e", "#", "\n", "\x00"])
        )
        same(line[:start] + middle + line[end:])

    @given(line=st.text(alphabet="{}[]'\":, asinprce0123.-e\\xu#\n\r\t\x00()bufNone", max_size=40))
    @example(line="{'asin': 'a', 'asin': 'b'}")
    @example(line="{'asin': 'a' 'b'}")
    @example(line="{'asin': u'a'}")
    @example(line="{'asin': b'a'}")
    @example(line="{'asin': 007}")
    @example(line="{'asin': 1_000}")
    @example(line="{'asin': 1e5, 'price': -0.0, 'categories': []}")
    @example(line="{'asin': 1.}")
    @example(line="{'asin': 0x10}")
    @example(line="{'asin': 1j}")
    @example(line="{'asin': 9" + "9" * 5000 + "}")
    @example(line="{'asin': '\\x41\\u00e9\\n\\'', 'price': '\\d', 'categories': '\\N{BULLET}'}")
    @example(line="{'asin': '\\x4'}")
    @example(line="{'asin': '\\ud800'}")
    @example(line="{'\\x61sin': 'a'}")
    @example(line="{'asin':'a','price':1}")
    @example(line="{'asin': 'a',}")
    @example(line="{'asin': 'a'} ")
    @example(line="{'asin': 'a'}, 1")
    @example(line="{'asin': Nonesuch}")
    @example(line="{'asin': None, 'price': True}")
    @example(line="{'asin': [['a'], 'b']}")
    @example(line="{}")
    @example(line="[1]")
    @example(line="{1: 2}")
    @example(line="{[]: 2}")
    def test_anything(self, line):
        same(line)


class TestFast:
    def test_a_line_of_the_published_kind_needs_no_ast(self):
        line = (
            "{'asin': '0132793040', 'imUrl': 'http://x/51.jpg', 'description': \"It's a caf\\xe9\\n\", "
            "'categories': [['Electronics', \"Bob's\"], ['Electronics']], 'title': 'x', 'price': 12.99, "
            "'salesRank': {'Electronics': 5}, 'related': {'also_bought': ['A', 'B'], 'buy_after_viewing': []}}"
        )
        assert set(_plain_entries(line, NAMES)) == set(NAMES)
        assert read_entries(line, NAMES) == {
            "asin": "0132793040",
            "price": 12.99,
            "categories": [["Electronics", "Bob's"], ["Electronics"]],
        }


class TestSafe:
    @pytest.mark.parametrize(
        "text",
        [
            "{'asin': __import__('os').getcwd()}",
            "{'asin': open('x')}",
            "{'asin': [x for x in ()]}",
            "{'asin': 2 ** 2 ** 40}",
            "{'asin': " + "[" * 100_000,
            "{'asin': " + "-" * 100_000 + "1}",
        ],
    )
    def test_no_literal(self, text):
        assert read_entries(text, NAMES) is None
        assert read_literal(text) is None
