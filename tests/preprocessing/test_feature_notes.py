"""Features that are hardly what was meant are named when data are printed; sound ones are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from frame_helpers import ITEMS, LOG, USERS, build
from helpers import random_raw

from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS
from preprocessing.synthetic import synthetic_movielens

RNG = np.random.default_rng(7)


def some_of(values: list) -> list:
    """One for each row of the log."""
    return [values[number] for number in RNG.integers(0, len(values), len(LOG))]


def notes_of(data: Dataset) -> list[str]:
    lines = [line.strip() for line in repr(data).splitlines() if line.startswith("  note: ")]
    assert lines == [line.strip() for line in data.summary().splitlines() if line.startswith("  note: ")]
    return [line.removeprefix("note: ") for line in lines]


POOR = {
    "the index of a CSV file": (np.arange(240), "nearly each row"),
    "a text for each row": ([f"session {number}" for number in range(240)], "nearly each row"),
    "euros": (some_of([f"{number},30 €" for number in range(9, 1300, 99)]), "numbers that .*: make numbers of it"),
    "dollars": (some_of([f"$1,{number}.00" for number in range(100, 900, 50)]), "numbers that are written as text"),
    "decimals and a word": (some_of([f"{n}.5" for n in range(19)] + ["unknown"]), "numbers that are written as text"),
    "whole numbers": (some_of([str(number) for number in range(0, 200, 10)]), "numbers that are written as text"),
    "kilos": (some_of([f"{number} kg" for number in range(20)]), "numbers that are written as text"),
    "a list": (some_of(["a|b", "a", "b|c", "c|d", "a|d", "d|b", "c", "a|b|c"]), r"lists \('a\|b'\): split it at '\|'"),
    "a list with commas": (some_of(["a, b", "a", "b, c", "c, d", "a, d", "d, b", "c, a", "b, a"]), "split it at ','"),
    "nothing": ([None] * 240, "no value in any training row: ignore it"),
    "no numbers": ([np.nan] * 240, "no value in any training row: ignore it"),
    "one number": ([2.5] * 240, "the same value in all training rows"),
    "one text": (["web"] * 240, "the same value in all training rows"),
}
SOUND = {
    "few texts": some_of(["phone", "tv"]),
    "numbers": RNG.random(240),
    "truth": some_of([True, False]),
    "few whole numbers": some_of([1, 2, 3]),
    "codes of one length": some_of([str(number) for number in range(10119, 10999, 40)]),
    "codes with zeros": some_of([f"{number:05d}" for number in range(0, 9999, 500)] + ["123456"]),
    "words and numbers": some_of([f"size {number}" for number in range(20)]),
    "names": some_of([f"{letter}oe, {letter}." for letter in "ABCDEFGHIJKLMNOPQRST"]),
    "titles with commas": some_of([f"Story {number}, The" for number in range(20)]),
}


@pytest.mark.parametrize("name", POOR)
def test_poor_features_are_named(name):
    column, message = POOR[name]
    kinds = {"x": "sparse"} if name == "nothing" else {}
    (note,) = notes_of(build(interactions=LOG.assign(x=column), kinds=kinds))
    assert note.startswith("x ")
    assert pd.Series([note]).str.contains(message).all(), note


@pytest.mark.parametrize("name", SOUND)
def test_sound_features_are_not(name):
    assert notes_of(build(interactions=LOG.assign(x=SOUND[name]))) == []


def test_of_users_and_items():
    users = USERS.assign(note=[f"n{number}" for number in range(20)], gap=[None] * 20)
    items = ITEMS.assign(title=[f"t{number}" for number in range(15)])
    found = notes_of(build(users=users, items=items, kinds={"gap": "dense"}))
    assert [note.split(" ")[0] for note in found] == ["note", "gap", "title"]
    assert "for nearly each user" in found[0]
    assert "for nearly each item" in found[2]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_known_data_have_none(protocol):
    for raw in (random_raw(), synthetic_movielens().first(5000)):
        assert notes_of(Dataset.build(raw, protocol, 0)) == []


def test_names_with_spaces_around_them_stand_in_quotes():
    printed = repr(build(users=USERS.rename(columns={"country": "country "}), interactions=LOG.assign(**{" x": "a"})))
    assert "  user  'country '  " in printed
    assert "note: ' x' has the same value in all training rows: ignore it." in printed
