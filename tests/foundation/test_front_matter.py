"""Metadata that any YAML reader reads back, whatever the texts are."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from foundation.front_matter import FENCE, front_matter
from foundation.shown import visible

names = st.from_regex(r"[a-z][a-z_-]{0,8}", fullmatch=True).filter(lambda name: isinstance(yaml.safe_load(name), str))
scalars = st.one_of(
    st.text().map(visible),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
entries = st.recursive(
    scalars,
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(names, inner, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, entries, min_size=1, max_size=4))
def test_reads_back_as_it_was(document):
    text = front_matter(document, "why")
    assert text.startswith(f"{FENCE}# why\n")
    assert text.endswith(f"\n{FENCE}")
    assert text.count("\n" + FENCE) == 1
    assert yaml.safe_load(text.removesuffix(FENCE)) == document


@pytest.mark.parametrize(
    "text", ["yes", "null", "1e3", "---", "a: b", "# no", '"', "\\", "", "\n---\n", "\x07", "\ud800"]
)
def test_texts_stay_texts(text):
    head = front_matter({"name": text}, "why").split(FENCE)[1]
    assert yaml.safe_load(head) == {"name": visible(text)}


@pytest.mark.parametrize("value", [1e-05, -2e-17, 1e300, 0.1 + 0.2, 3.0])
def test_numbers_keep_every_digit(value):
    assert yaml.safe_load(front_matter({"value": value}, "why").split(FENCE)[1]) == {"value": value}
    assert json.loads(front_matter({"value": value}, "why").splitlines()[2].removeprefix("value: ")) == value


def test_what_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        front_matter({"value": float("nan")}, "why")
