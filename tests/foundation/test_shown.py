"""What a terminal shows of any text: one line, no controls, in columns."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.shown import columns, padded, shortened, visible, visible_lines

ANYTHING = st.text() | st.text(
    st.sampled_from(
        "aé電😀\x00\x07\x1b\x7f\x85\x9b\r\n\t\v\f\xa0\xad\u0301\u200b\u200d\u200f\u2028\u2029\u202e\u2066\ufeff\U000e0001"
        "\ud800\udfff"
    )
)
CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")


class TestVisible:
    @given(text=ANYTHING)
    def test_no_control_is_left_and_it_can_be_printed(self, text):
        shown = visible(text)
        assert not [one for one in shown if unicodedata.category(one) in CONTROLS]
        assert len(shown.splitlines()) <= 1
        shown.encode()
        assert visible(shown) == shown

    @given(text=st.text(st.characters(categories=("L", "M", "N", "P", "S"))))
    @example(text="Amélie (2001) $x 電影 😀")
    def test_letters_stay(self, text):
        assert visible(text) == text

    def test_lines_stay_lines(self):
        assert visible_lines("a\x1b[31m\nb\r\tc") == "a[31m\nb  c"


class TestColumns:
    @given(text=ANYTHING, width=st.integers(4, 60))
    def test_no_more_than_asked_for(self, text, width):
        shown = shortened(text, width)
        assert columns(shown) <= width
        assert columns(padded(shown, width)) == width
        if text == visible(text) and columns(text) <= width and len(text) <= 8 * width:
            assert shown == text

    @pytest.mark.parametrize("text", ["x" * 10**7, "e" + "\u0301" * 10**6, "\u200b" * 10**6 + "end"])
    def test_a_long_title_is_short(self, text):
        assert len(shortened(text, 44)) < 500
        assert shortened(text, 44).endswith("...")
