"""What a message about own frames advises is done here as it stands there, and works."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from frame_helpers import ITEMS, LOG, NAMES, USERS, build

from foundation.errors import InputError
from preprocessing.dataset import Dataset

# Both ids as texts, which a CSV file makes of most.
TEXTS = {"users": USERS, "items": ITEMS.assign(i=[f"Item{n}" for n in ITEMS["i"]])}
SPELLED = LOG.assign(i=[f"Item{n}" for n in LOG["i"]])


def followed(frames: dict[str, pd.DataFrame]) -> Dataset:
    """The data set of the frames after doing what the message about them says."""
    with pytest.raises(InputError) as refused:
        build(**frames)
    advised = re.findall(r"(?:log|users|items)\['\w+'\] = .*?(?=\.$|, or|\. )", str(refused.value))
    assert len(advised) == 1, refused.value
    scope = {"pd": pd, "log": frames["interactions"], "users": frames["users"], "items": frames["items"]}
    scope = {name: frame.copy() if isinstance(frame, pd.DataFrame) else frame for name, frame in scope.items()}
    exec(advised[0], scope)
    return build(users=scope["users"], items=scope["items"], interactions=scope["log"])


@pytest.mark.parametrize(
    ("items", "log"),
    [
        (ITEMS, LOG.assign(i=LOG["i"].astype(float).astype(str))),
        (ITEMS, LOG.assign(i=LOG["i"].astype(str))),
        (ITEMS, LOG.assign(i=LOG["i"].map("{:04d}".format))),
        (ITEMS.assign(i=ITEMS["i"].astype(str)), LOG),
        (ITEMS.assign(i=ITEMS["i"].map("{:04d}".format)), LOG),
        (ITEMS.assign(i=ITEMS["i"].map("{}.0".format)), LOG),
        (TEXTS["items"].assign(i=[str(n) if n else "none" for n in ITEMS["i"]]), LOG[LOG["i"] > 0]),
        (TEXTS["items"], SPELLED.assign(i=" " + SPELLED["i"] + " ")),
        (TEXTS["items"].assign(i=TEXTS["items"]["i"] + " "), SPELLED),
        (TEXTS["items"].assign(i=TEXTS["items"]["i"].str.lower()), SPELLED),
        (TEXTS["items"], SPELLED.assign(i=SPELLED["i"].str.lower())),
        (TEXTS["items"], SPELLED.assign(i=SPELLED["i"] + ".0")),
    ],
    ids=[
        "floats as text in the log",
        "whole numbers as text in the log",
        "with zeros before them in the log",
        "whole numbers as text in the table",
        "with zeros before them in the table",
        "floats as text in the table",
        "one of the texts no number",
        "spaces in the log",
        "spaces in the table",
        "capitals in the log",
        "capitals in the table",
        "text floats on both sides",
    ],
)
def test_about_ids(items, log):
    data = followed({"users": USERS, "items": items, "interactions": log})
    assert len(data.raw) == len(log)
    assert np.array_equal(data.raw.item, build(interactions=LOG.loc[log.index]).raw.item)


@pytest.mark.parametrize(
    ("items", "log", "message"),
    [
        (ITEMS, LOG.assign(i="x"), r"\(str; items hold int64\)\. Texts and numbers are never the same id"),
        (ITEMS, LOG.assign(i=LOG["i"] + 1), r"not in items, the first at row 0: \d+\. Add its row, or drop them\.$"),
        (TEXTS["items"], SPELLED.assign(i="x"), r"'x'\. Add its row, or drop them; items hold ids like 'Item0'\.$"),
        (ITEMS[:0], LOG, r"'?\d+'?\. Add its row, or drop them\.$"),
    ],
    ids=["no number", "other numbers", "other texts", "an empty table"],
)
def test_ids_that_no_spelling_makes_match(items, log, message):
    with pytest.raises(InputError, match=message):
        build(items=items, interactions=log)


@pytest.mark.parametrize(
    "values",
    [
        (0, 1, 2),
        (-1, 1),
        (-1, 0, 1),
        (1, 2),
        (1, 2, 3, 4, 5),
        (0.5, 1.0, 4.5, 5.0),
        (0, 5),
        ("0", "1"),
        ("0", "1", "3"),
        ("0.0", "1.0"),
        ("no", "yes"),
        ("False", "True"),
        ("view", "click"),
    ],
    ids=lambda values: " ".join(map(str, values)),
)
def test_about_labels_gives_both_and_the_larger_ones_are_positive(values):
    log = LOG.assign(y=[values[number] for number in np.random.default_rng(1).integers(0, len(values), len(LOG))])
    data = followed({"users": USERS, "items": ITEMS, "interactions": log})
    positive = {value for value, label in zip(log["y"], data.raw.label, strict=True) if label}
    negative = {value for value, label in zip(log["y"], data.raw.label, strict=True) if not label}
    assert positive
    assert negative
    assert not positive & negative
    if values != ("view", "click"):  # of which nobody can tell
        assert min(positive) > max(negative)


def test_about_the_usual_stars_is_that_four_are_positive():
    log = LOG.assign(y=[1 + number % 5 for number in range(len(LOG))])
    with pytest.raises(InputError, match=r"log\['y'\] = \(log\['y'\] > 3\)\.astype\(int\)\.$"):
        build(interactions=log)


@pytest.mark.parametrize("value", [2, "yes"])
def test_labels_of_one_value_have_no_advice_that_could_not_help(value):
    with pytest.raises(InputError, match=f"All of them are {value!r}: add the rows that are not positive"):
        build(interactions=LOG.assign(y=value))


def test_about_missing_labels():
    frames = {"users": USERS, "items": ITEMS, "interactions": LOG.assign(y=[None, *LOG["y"][1:]])}
    with pytest.raises(InputError, match=r"Drop the rows without a label: log = log\.dropna\(subset=\['y'\]\)\.$"):
        build(**frames)
    assert len(build(**{**frames, "interactions": frames["interactions"].dropna(subset=["y"])}).raw) == len(LOG) - 1


@pytest.mark.parametrize(
    "times",
    [LOG["t"].astype(str), LOG["t"].astype(str).astype(object), LOG["t"].astype("int64") / 1e9],
    ids=["texts", "objects", "floats"],
)
def test_about_times(times):
    frames = {"users": USERS, "items": ITEMS, "interactions": LOG.assign(t=times)}
    assert len(followed(frames).raw) == len(LOG)
    assert NAMES["timestamp"] == "t"
