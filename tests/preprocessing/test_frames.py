"""A data set of one's own: what is inferred, what can be said, what is refused; and the page that shows it."""

from __future__ import annotations

import inspect
import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from frame_helpers import ITEMS, LOG, NAMES, USERS, build, frames
from helpers import as_lists, assert_blind_to_test_labels
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.frames import raw_from_frames
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parents[2]


class TestInferred:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_sides_kinds_and_sizes(self, protocol):
        columns = build(protocol).feature_columns(8, history=True)
        assert [(column.name, type(column).__name__) for column in columns.user] == [
            ("u", "SparseFeat"),
            ("country", "SparseFeat"),
            ("member", "SparseFeat"),
            ("device", "SparseFeat"),
            ("hobbies", "VarLenSparseFeat"),
            ("liked_i", "VarLenSparseFeat"),
            ("income", "DenseFeat"),
            ("hour", "DenseFeat"),
            ("user_mean_label", "DenseFeat"),
        ]
        assert [(column.name, type(column).__name__) for column in columns.item] == [
            ("i", "SparseFeat"),
            ("kind", "SparseFeat"),
            ("tags", "VarLenSparseFeat"),
            ("price", "DenseFeat"),
            ("item_mean_label", "DenseFeat"),
        ]
        sizes = {column.name: column.vocabulary_size for column in columns.all if hasattr(column, "vocabulary_size")}
        assert sizes == {
            "u": 21,
            "country": 4,
            "member": 3,
            "device": 4,
            "hobbies": 3,
            "liked_i": 16,
            "i": 16,
            "kind": 4,
            "tags": 5,
        }

    def test_each_row_has_the_features_of_its_user_item_and_itself(self):
        data, log = build(statistics=False), frames()["interactions"]
        users, items = frames()["users"].set_index("u"), frames()["items"].set_index("i")
        names = ["u", "country", "member", "hobbies", "i", "kind", "tags", "device"]
        batch = {name: as_lists(values) for name, values in data.batch(torch.arange(len(log)), names).items()}
        known = {name: data.vocabularies[name].tolist() for name in names}

        def decode(name: str, value):
            if isinstance(value, list):
                return [known[name][code - 1] for code in value]
            return known[name][value - 1] if value else None

        for row, entry in enumerate(log.to_dict("records")):
            user, item = users.loc[entry["u"]], items.loc[entry["i"]]
            expected = {
                "u": entry["u"],
                "country": user["country"] if isinstance(user["country"], str) else None,
                "member": user["member"],
                "hobbies": user["hobbies"] or [],
                "i": entry["i"],
                "kind": item["kind"],
                "tags": list(item["tags"]),
                "device": entry["device"],
            }
            assert {name: decode(name, batch[name][row]) for name in names} == expected

    def test_missing_numbers_are_the_training_mean(self):
        data = build()
        income = frames()["users"]["income"].to_numpy()
        assert data.scalers["income"].fill == pytest.approx(
            np.nanmean(income[data.user[data.protocol.splits["train"]].numpy()])
        )
        assert torch.isfinite(data.users.values["income"]).all()

    def test_times_are_seconds(self):
        log = frames()["interactions"]
        seconds = [int(time.timestamp()) for time in log["t"]]
        assert build().raw.timestamp.tolist() == seconds
        assert build(interactions=log.assign(t=seconds)).raw.timestamp.tolist() == seconds

    def test_without_tables_the_ids_are_all_there_is(self):
        data = build(users=None, items=None, statistics=False, history=False)
        assert [column.name for column in data.feature_columns().all] == ["u", "device", "hour", "i"]
        assert len(data.raw.users) == frames()["interactions"]["u"].nunique()

    def test_order_and_index_of_the_tables_do_not_matter(self):
        shuffled = {
            name: frame.sample(frac=1, random_state=1) for name, frame in frames().items() if name != "interactions"
        }
        first, second = build(), build(**shuffled)
        every = torch.arange(240)
        names = [column.name for column in first.feature_columns(history=True).all]
        left, right = first.batch(every, names), second.batch(every, names)
        assert {name: as_lists(left[name]) for name in names} == {name: as_lists(right[name]) for name in names}

    def test_fingerprint_follows_every_value(self):
        prints = {build().raw.fingerprint, build().raw.fingerprint}
        assert len(prints) == 1
        items, log = frames()["items"], frames()["interactions"]
        prints.add(build(items=items.assign(price=items["price"] + 1)).raw.fingerprint)
        prints.add(build(items=items.assign(tags=items["tags"][::-1].tolist())).raw.fingerprint)
        prints.add(build(interactions=log.assign(y=1 - log["y"])).raw.fingerprint)
        prints.add(build(interactions=log.assign(hour=0.0)).raw.fingerprint)
        assert len(prints) == 5


class TestGiven:
    def test_kinds(self):
        data = build(kinds={"price": "sparse", "member": "dense", "kind": "ignore", "hour": "ignore"})
        assert len(data.vocabularies["price"]) == 16
        assert set(data.users.values["member"].tolist()) == {0.0, 1.0}
        assert "kind" not in [column.name for column in data.feature_columns().all]
        assert "hour" not in data.per_row

    def test_kinds_by_the_names_that_printed_data_show(self):
        named, data = {"price": "category", "member": "number"}, build(kinds={"price": "sparse", "member": "dense"})
        printed = {words[1]: words[2] for line in repr(data).splitlines() if len(words := line.split()) > 2}
        assert {name: printed[name] for name in named} == named
        assert build(kinds=named).raw.fingerprint == data.raw.fingerprint
        again = Dataset.from_frames(**frames(), label="y", timestamp="t", encoding=data, kinds=named)
        assert again.encoding is data.encoding

    def test_sides_of_features_of_the_log(self):
        columns = build(sides={"device": "item", "hour": "item"}).feature_columns()
        assert {"device", "hour"} <= {column.name for column in columns.item}

    @given(size=st.integers(2, 20))
    def test_sizes_keep_the_most_frequent_training_values(self, size):
        data = build(vocabulary_sizes={"i": size, "tags": 3})
        train = data.raw.item[data.protocol.splits["train"]]
        count = {10 * item: int((train == item).sum()) for item in set(train.tolist())}
        known = data.vocabularies["i"].tolist()
        assert len(known) == min(size - 1, len(count))
        left_out = [count[item] for item in count if item not in known]
        assert min(count[item] for item in known) >= max(left_out, default=0)
        assert data.vocabularies["tags"].tolist()[-1] == 7
        assert len(data.vocabularies["tags"]) == 3

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_permuting_test_labels_changes_no_feature(self, protocol):
        assert_blind_to_test_labels(build(protocol).raw, protocol)


class TestRefused:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"label": "clicked"}, r"interactions has no column 'clicked'\. Received: 'u', 'i', 'y'"),
            ({"users": USERS.rename(columns={"u": "id"})}, r"users has no column 'u'\. Received: 'id'"),
            ({"label": "Y "}, r"interactions has no column 'Y '\..* Did you mean 'y'\?"),
            ({"user_id": None}, r"Name the columns of the ids: user_id=\.\.\.\. interactions has: 'u', 'i', 'y'"),
            ({"label": "u"}, "interactions needs a column .* not 'u' for two"),
            (
                {"users": pd.concat([USERS, USERS[:2]])},
                r"2 ids occur more than once in column 'u' of users: 'u0', 'u1'\. .* at row 20\. Give each",
            ),
            ({"items": ITEMS.assign(i=ITEMS["i"].where(ITEMS["i"] > 0))}, "i is missing in 1 row of items"),
            ({"users": USERS[1:]}, r"interactions have an id 'u' that is not in users, the first at row \d+: 'u0'"),
            (
                {"items": ITEMS.assign(i=ITEMS["i"].astype(str))},
                r"240 interactions have an id 'i' .*int64; items hold str\)\. Give both the same type",
            ),
            ({"interactions": LOG.assign(y=LOG["y"] * 5)}, r"Received .* others, the first 5 .* = \(log\['y'\] == 5\)"),
            (
                {"interactions": LOG.assign(y=LOG["y"].map({0: "no", 1: "yes"}))},
                r"\(log\['y'\] == '(yes|no)'\)\.astype",
            ),
            ({"interactions": LOG.assign(y=np.nan)}, "Labels must be 0 or 1. Received 240 others.* Drop the rows"),
            ({"interactions": LOG.assign(t=0.5)}, r"t must .*Received: float64\. .*\.astype\('int64'\)"),
            (
                {"interactions": LOG.assign(t="2026-01-01")},
                r"t must .*Received: str\. .*= pd\.to_datetime\(log\['t'\]\)",
            ),
            ({"interactions": LOG.assign(t=LOG["t"].dt.strftime("%F").astype(object))}, r"pd\.to_datetime"),
            ({"interactions": LOG.assign(t=pd.NaT)}, "240 interactions have no t"),
            ({"timestamp": None}, "Column 't' of interactions holds datetimes.*timestamp='t' if it is the time of"),
            ({"users": USERS.assign(price=1.0)}, "Two features are named 'price'"),
            ({"users": USERS.assign(user_mean_label=1.0)}, "Two features are named 'user_mean_label'"),
            ({"users": USERS.assign(born=pd.Timestamp("2000-01-01"))}, "Column 'born' of users holds datetimes"),
            ({"users": USERS.assign(x=["a", 1] * 10)}, "must hold texts, or numbers, to be sparse. Received: int, str"),
            ({"users": USERS.assign(x=[["a", 1]] * 20)}, "must hold lists of texts or of integers"),
            ({"users": USERS.assign(x=[[["a", "b"], ["c"]]] * 20)}, "lists of texts or of integers. Received: .* list"),
            ({"users": USERS.assign(x=[[{"a": 1}]] * 20)}, "lists of texts or of integers. Received: .* dict"),
            ({"users": USERS.assign(x=[date(2000, 1, 1)] * 20)}, "must hold texts, or numbers, .* Received: date"),
            ({"users": USERS.assign(x=[["a"], "a"] * 10)}, "must hold lists of texts or of integers. Received: 'a'"),
            ({"users": USERS.assign(income=np.inf)}, "'income' holds 20 rows with infinity"),
            (
                {"interactions": LOG.assign(x=[["a"]] * 240)},
                "an interaction cannot be a list. Received: x",
            ),
            ({"kinds": {"country": "dense"}}, "Column 'country' of users must hold numbers to be dense"),
            ({"kinds": {"country": "list"}}, r"Received: 'DE'\. Split .*frame\['country'\]\.str\.split"),
            ({"kinds": {"hobbies": "sparse"}}, "Column 'hobbies' of users must hold texts, or numbers"),
            (
                {"kinds": {"price": "numbr"}},
                r"kinds must give 'price' one of sparse, dense, list, .*category \(sparse\), number \(dense\)\. "
                "Received: 'numbr'. Did you mean 'number'",
            ),
            ({"kinds": {"prize": "dense"}}, r"kinds names 'prize', which is not .* may name: .*Did you mean 'price'\?"),
            ({"sides": {"price": "item"}}, "sides names 'price', which is not .* may name: 'device', 'hour'"),
            ({"sides": {"hour": "items"}}, r"sides must give 'hour' one of user, item\. Received: 'items'"),
            ({"vocabulary_sizes": {"price": 5}}, "vocabulary_sizes names 'price', which is not .* 'device', 'hobbies'"),
            ({"vocabulary_sizes": {"i": 1}}, r"must give 'i' a whole number of at least 2\. Received: 1\."),
        ],
    )
    def test_content(self, changes, message):
        with pytest.raises(InputError, match=message):
            build(**changes)

    def test_datetimes_called_sparse(self):
        with pytest.raises(InputError, match="Column 'born' of users must hold texts, or numbers"):
            build(users=USERS.assign(born=pd.Timestamp("2000-01-01")), kinds={"born": "sparse"})

    def test_temporal_without_times(self):
        with pytest.raises(InputError, match="needs times"):
            build("temporal", timestamp=None)

    def test_misspelt_argument(self):
        with pytest.raises(TypeError, match="vocabulary_size"):
            raw_from_frames(**frames(), **NAMES, vocabulary_size={})


class TestStored:
    def test_categories_of_every_accepted_type_can_be_written(self):
        columns = {
            "number": np.array([np.int64(3), None] * 10, dtype=object),
            "text": pd.array(["a", None] * 10, dtype="string"),
            "nullable": pd.array([1, None] * 10, dtype="Int64"),
            "truth": [True, False] * 10,
        }
        stored = build(users=USERS.assign(**columns)).encoding_json()["vocabularies"]
        assert json.loads(json.dumps({name: stored[name] for name in columns})) == {
            "number": [3],
            "text": ["a"],
            "nullable": [1],
            "truth": [False, True],
        }

    def test_sets_are_the_same_data_in_every_order(self):
        # Equal hashes stand in the order in which they came.
        one, other = {0, 8}, {8, 0}
        assert list(one) != list(other)
        prints = {build(users=USERS.assign(x=[x] * 20)).raw.fingerprint for x in (one, other)}
        assert len(prints) == 1


def test_each_name_that_frames_may_be_given_is_a_parameter():
    own = inspect.signature(Dataset.from_frames).parameters
    assert inspect.signature(raw_from_frames).parameters.keys() <= own.keys()
    assert not [name for name, parameter in own.items() if parameter.kind is inspect.Parameter.VAR_KEYWORD]
