"""Features that give labels away are named, in whatever disguise; honest ones are not, and small tables are not by
accident."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from frame_helpers import LOG, build
from helpers import permute_labels
from leak_helpers import shop

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.leak_probe import LeakWarning, probe

RNG = np.random.default_rng(1)
LABEL = LOG["y"].to_numpy()
UNIQUE = RNG.permutation(240)
SHOP = shop()
CLICK = SHOP.log["click"].to_numpy()
ROWS = len(CLICK)


def warned(**changes) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        build(**changes)
    return [str(one.message) for one in caught if issubclass(one.category, LeakWarning)]


def per_user(values: np.ndarray) -> np.ndarray:
    """(rows,) the value of each row's user."""
    return values[SHOP.log["user"]]


SMALL = {
    "stars": RNG.integers(1, 4, 240) + 3 * LABEL,
    "stars, two values of five": np.where(LABEL, RNG.choice([2, 4], 240), RNG.choice([1, 3, 5], 240)),
    "floats of stars": np.where(LABEL, RNG.choice([2.0, 4.0], 240), RNG.choice([1.0, 3.0, 5.0], 240)),
    "texts": np.where(LABEL, "bought", "seen"),
    "truth": LABEL == 1,
    "nullable": pd.array(LABEL, "Int64"),
    "categorical": pd.Categorical(np.where(LABEL, "yes", None)),
    "missing where negative": np.where(LABEL, 1.0, np.nan),
    "missing where positive": pd.Series(np.where(LABEL, None, "left"), dtype=object),
    "seconds watched, above a threshold": RNG.random(240) + LABEL,
    "below a threshold": UNIQUE - 1000 * LABEL,
    "all but one row": np.where(np.arange(240) == 7, 1 - LABEL, LABEL),
}
BY_ACCIDENT = {
    "a number for each row": UNIQUE,
    "a text for each row": [f"r{number}" for number in UNIQUE],
    "noise": RNG.random(240),
    "few values": RNG.integers(0, 5, 240),
    "constant": 1.0,
    "nothing": None,
    "pairs of rows, some of one label": np.arange(240) // 2,
}


class TestFrames:
    @pytest.mark.parametrize("name", SMALL)
    def test_a_feature_that_decides_is_told_of(self, name):
        (told,) = warned(interactions=LOG.assign(stars=SMALL[name]))
        assert told.startswith("Feature 'stars' nearly decides the label (AUC ")
        assert "kinds={'stars': 'ignore'}" in told

    @pytest.mark.parametrize("name", BY_ACCIDENT)
    def test_others_are_not(self, name):
        assert warned(interactions=LOG.assign(stars=BY_ACCIDENT[name])) == []

    @pytest.mark.parametrize("rows", [20, 40])
    def test_few_rows_are_told_apart_by_accident(self, rows):
        label = np.arange(rows) % 2
        log = LOG[:rows].assign(y=label, code=np.arange(rows) // 4 * 2 + label)
        assert warned(interactions=log) == []

    def test_a_kind_that_is_given_hides_nothing_but_ignore(self):
        log = LOG.assign(stars=SMALL["stars"])
        assert len(warned(interactions=log, kinds={"stars": "dense"})) == 1
        assert warned(interactions=log, kinds={"stars": "ignore"}) == []

    def test_what_data_say_of_themselves_names_the_features(self):
        log = LOG.assign(stars=SMALL["stars"], bought=SMALL["texts"])
        with pytest.warns(LeakWarning):
            data = build(interactions=log)
        assert "leaks no labels, but features give them away: stars, bought\n" in repr(data)
        ignored = build(interactions=log, kinds={"stars": "ignore", "bought": "ignore"})
        assert "leaks no labels\n" in repr(ignored)

    def test_the_warning_names_the_caller(self):
        with pytest.warns(LeakWarning) as caught:
            build(interactions=LOG.assign(stars=SMALL["stars"]))
        assert caught[0].filename.endswith("frame_helpers.py")


TOTAL = SHOP.total("user")
MEAN = TOTAL / np.maximum(SHOP.rows("user"), 1)
SO_FAR = SHOP.log.groupby("user")["click"].cumsum().to_numpy()
DISGUISED = {  # column of the log -> the AUC at least
    "label": (CLICK, 1.0),
    "flipped": (1 - CLICK, 1.0),
    "scaled": (1000.0 * CLICK - 3, 1.0),
    "with noise": (CLICK + RNG.normal(0, 0.1, ROWS), 0.99),
    "wrong in three percent": (np.where(RNG.random(ROWS) < 0.03, 1 - CLICK, CLICK), 0.9),
    "rounded seconds": (np.round(CLICK * RNG.exponential(30, ROWS), -1), 0.9),
    "total of the user's other rows": (per_user(TOTAL) - CLICK, 0.95),
    "mean of the user's other rows": ((per_user(TOTAL) - CLICK) / np.maximum(per_user(SHOP.rows("user")) - 1, 1), 0.95),
    "running total with the row": (SO_FAR, 0.9),
    "running mean with the row": (SO_FAR / (SHOP.log.groupby("user").cumcount() + 1).to_numpy(), 0.9),
}


class TestRows:
    @pytest.mark.parametrize("name", DISGUISED)
    def test_label_in_disguise(self, name):
        values, least = DISGUISED[name]
        found = SHOP.findings(log={"x": values})
        assert list(found) == ["x"]
        assert least <= found["x"].auc <= 1

    def test_total_without_the_row_is_no_leak_if_it_is_of_earlier_rows(self):
        log = {"so_far": SO_FAR - CLICK, "count": SHOP.log.groupby("user").cumcount().to_numpy()}
        assert SHOP.findings(log=log) == {}

    def test_difference_and_change_say_what_the_column_is(self):
        found = SHOP.findings(log={"others": DISGUISED["total of the user's other rows"][0], "so_far": SO_FAR})
        assert "by its difference from the mean of its user" in found["others"].how
        assert "by its change since the user's row before" in found["so_far"].how
        assert "earlier rows" in found["others"].advice

    def test_a_user_whose_labels_are_all_equal_is_told_of_by_the_id(self):
        whole = SHOP.log.assign(click=SHOP.log["user"] % 2)
        found = replace(SHOP, log=whole).findings()
        assert list(found) == ["user"]
        assert found["user"].auc == 1.0

    def test_list_whose_values_decide(self):
        log = SHOP.log.assign(click=SHOP.log["item"] % 2)
        tags = [["new", "odd"] if item % 2 else ["new"] for item in SHOP.items["item"]]
        assert "tags" in replace(SHOP, log=log).findings(items={"tags": tags})


def with_noise(values: np.ndarray) -> np.ndarray:
    return values + np.random.default_rng(2).normal(0, 0.3, len(values))


TOTALS = {
    "total": lambda total, rows: total,
    "total as text": lambda total, rows: [str(int(value)) for value in total],
    "total of negatives": lambda total, rows: rows - total,
    "scaled and moved": lambda total, rows: (total - total.mean()) / total.std(),
    "logarithm": lambda total, rows: np.log1p(total),
    "mean": lambda total, rows: total / np.maximum(rows, 1),
    "mean, two digits": lambda total, rows: np.round(total / np.maximum(rows, 1), 2),
    "with noise": lambda total, rows: with_noise(total),
}


@pytest.mark.parametrize("protocol", ["holdout", "temporal"])
class TestTotals:
    @pytest.fixture(scope="class")
    @staticmethod
    def shops():
        return {protocol: shop(20_000, 1000, 800, protocol=protocol) for protocol in ("holdout", "temporal")}

    @pytest.mark.parametrize("side", ["user", "item"])
    @pytest.mark.parametrize("name", TOTALS)
    def test_of_all_rows_the_test_rows_among_them(self, shops, protocol, name, side):
        one = shops[protocol]
        x = TOTALS[name](one.total(side), one.rows(side))
        found = one.findings(**{f"{side}s": {"x": x}})
        assert list(found) == ["x"]
        assert "holds labels of validation rows" in found["x"].how
        assert "training rows" in found["x"].advice

    @pytest.mark.parametrize("parts", [(0, 1), (1,), (1, 2)], ids=["train and validation", "validation", "later"])
    def test_of_other_rows(self, shops, protocol, parts):
        one = shops[protocol]
        rows = np.isin(one.part, parts)
        assert list(one.findings(users={"x": one.total("user", rows)})) == ["x"]

    def test_in_the_log(self, shops, protocol):
        one = shops[protocol]
        assert list(one.findings(log={"x": one.total("item")[one.log["item"]]})) == ["x"]

    def test_of_training_rows_or_what_labels_are_drawn_by_is_honest(self, shops, protocol):
        one = shops[protocol]
        rng = np.random.default_rng(3)
        trained = one.part == 0
        half = trained & (rng.random(len(trained)) < 0.5)
        for side, truth in (("user", one.taste), ("item", one.quality)):
            rows = np.maximum(one.rows(side, trained), 1)
            honest = {
                "train_total": one.total(side, trained),
                "train_mean": one.total(side, trained) / rows,
                "smoothed": (one.total(side, trained) + 3) / (rows + 10),
                "half": one.total(side, half),
                "truth": truth,
                "truth_rounded": np.round(truth),
                "row_count": one.rows(side),
                "price": rng.lognormal(size=len(truth)),
            }
            assert one.findings(**{f"{side}s": honest}) == {}

    def test_entities_with_a_positive_alone_are_no_leak(self, shops, protocol):
        """A log of those who clicked ties training to validation: who has not clicked in one has in the other."""
        one = shops[protocol]
        clicked = one.total("user") > 0
        kept = clicked[one.log["user"]]
        part = replace(one, log=one.log[kept].reset_index(drop=True))
        assert part.findings(users={"truth": one.taste, "row_count": one.rows("user")}) == {}


def test_no_label_of_a_test_row_is_read():
    data = SHOP.build(users={"total": TOTAL}, log={"others": per_user(TOTAL) - CLICK, "noise": RNG.random(ROWS)})
    found = probe(data)
    assert {finding.feature for finding in found} == {"total", "others"}
    other = Dataset.build(permute_labels(data.raw, data.protocol.splits["test"], seed=1), "holdout", 0)
    assert probe(other) == found


def test_published_protocol_is_not_told_of_what_it_says_itself():
    data = Dataset.build(SHOP.build(log={"x": CLICK}).raw, "published", 0)
    assert [finding.feature for finding in probe(data)] == ["x"]


def test_history_that_holds_the_row_is_told_of_where_the_protocol_promises_none():
    data = Dataset.build(SHOP.build().raw, "published", 0)
    promised = replace(data, protocol=replace(data.protocol, leak=None))
    assert "liked_item" in [finding.feature for finding in probe(promised)]


def test_history_of_those_who_like_an_item_again_is_honest():
    log = SHOP.log.assign(item=SHOP.log["item"] % 10)
    again = log.assign(click=(log["user"] * 7 + log["item"] * 3) % 2)  # a pair has one label, however often it occurs
    assert replace(SHOP, log=again).findings() == {}


def test_needs_validation_rows():
    data = SHOP.build()
    with pytest.raises(InputError, match="has no validation rows"):
        probe(Dataset.build(data.raw, "holdout", 0, refit=True))


def test_a_part_of_the_users_is_enough(monkeypatch):
    monkeypatch.setattr("preprocessing.leak_probe.MOST_ROWS", 3000)
    found = SHOP.findings(log={"x": CLICK, "noise": RNG.random(ROWS)}, users={"total": TOTAL})
    assert set(found) == {"x", "total"}
