"""A data set to train anew on: training and validation rows together, and all that follows from them."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
import torch
from helpers import as_lists, build_or_skip, every_feature, permute_labels, protocol_or_skip, random_raw, raws
from hypothesis import given

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.label_features import request_tables
from preprocessing.protocol import FOLDS, PROTOCOLS, make_protocol

CASES = [
    pytest.param(name, {"validation_rows": rows, "statistics": statistics}, id=f"{name}-{rows}-{statistics}")
    for name, protocol in PROTOCOLS.items()
    for rows, statistics in product(protocol.validation_rows, protocol.statistics)
]


def rows_of(raw, name: str, refit: bool, switches: dict) -> dict[str, list[int]]:
    made = protocol_or_skip(name, raw, 3, refit=refit, **switches)
    return {split: rows.tolist() for split, rows in made.splits.items()}


class TestRows:
    @pytest.mark.parametrize(("name", "switches"), CASES)
    @given(raw=raws(rows=60, users=15))
    def test_are_those_of_training_and_validation_and_the_test_rows_stay(self, name, switches, raw):
        before, after = (rows_of(raw, name, refit, switches) for refit in (False, True))
        assert list(after) == ["train", "test"]
        assert sorted(after["train"]) == sorted(before["train"] + before["validation"])
        assert after["test"] == before["test"]

    @pytest.mark.parametrize(("name", "switches"), CASES)
    def test_read_exactly_once(self, name, switches):
        made = make_protocol(name, random_raw(), 3, refit=True, **switches)
        readers = np.concatenate([view.readers for view in made.views])
        assert sorted(readers.tolist()) == sorted(np.concatenate(list(made.splits.values())).tolist())

    def test_of_time_are_in_its_order(self):
        raw = random_raw()
        made = make_protocol("temporal", raw, 0, refit=True)
        order = np.argsort(raw.timestamp, kind="stable").tolist()
        assert [*made.splits["train"], *made.splits["test"]] == order


class TestViews:
    def test_of_holdout_are_five_folds_of_the_joined_rows(self):
        made = make_protocol("holdout", random_raw(), 3, refit=True)
        train, test = (set(rows.tolist()) for rows in made.splits.values())
        *folds, scored = made.views
        assert len(folds) == FOLDS
        assert max(len(fold.readers) for fold in folds) - min(len(fold.readers) for fold in folds) <= 1
        for fold in folds:
            assert set(fold.sources.tolist()) == train - set(fold.readers.tolist())
        assert set(scored.sources.tolist()) == train
        assert set(scored.readers.tolist()) == test

    @pytest.mark.parametrize("statistics", PROTOCOLS["published"].statistics)
    def test_of_published_are_the_two_parts(self, statistics):
        made = make_protocol("published", random_raw(), 3, statistics=statistics, refit=True)
        for view, rows in zip(made.views, made.splits.values(), strict=True):
            assert sorted(view.readers.tolist()) == sorted(view.sources.tolist()) == sorted(rows.tolist())

    @pytest.mark.parametrize("statistics", PROTOCOLS["temporal"].statistics)
    def test_of_temporal_read_what_is_earlier_in_training(self, statistics):
        raw = random_raw()
        made = make_protocol("temporal", raw, 3, statistics=statistics, refit=True)
        train, scored = made.views
        assert train.earlier_only
        assert sorted(train.sources.tolist()) == sorted(made.splits["train"].tolist())
        assert scored.earlier_only == (statistics == "as_of")
        assert len(scored.sources) == (len(raw) if statistics == "as_of" else len(made.splits["train"]))


class TestFeatures:
    @pytest.mark.parametrize("name", ["holdout", "temporal"])
    @given(raw=raws())
    def test_of_test_rows_are_those_that_a_request_finds(self, name, raw):
        data = build_or_skip(raw, name, refit=True)
        users, items = request_tables(data.raw, data.protocol, data.users, data.items, data.scalers)
        rows = data.protocol.splits["test"]
        found = every_feature(data)
        own = as_lists(users.batch("liked_movies", torch.arange(len(raw.users))))
        for row in rows.tolist():
            assert found[row]["liked_movies"] == own[raw.user[row]]
            assert found[row]["user_mean_rating"] == float(users.values["user_mean_rating"][raw.user[row]])
            assert found[row]["item_mean_rating"] == float(items.values["item_mean_rating"][raw.item[row]])

    @pytest.mark.parametrize("name", ["holdout", "temporal"])
    @given(raw=raws())
    def test_know_no_label_of_a_test_row(self, name, raw):
        data = build_or_skip(raw, name, refit=True)
        other = permute_labels(raw, data.protocol.splits["test"], 1)
        changed = build_or_skip(other, name, refit=True)
        assert every_feature(data) == every_feature(changed)
        assert data.encoding_json() == changed.encoding_json()

    @pytest.mark.parametrize("name", ["holdout", "temporal"])
    def test_are_encoded_by_the_joined_rows(self, name):
        raw = random_raw(rows=80, users=40, items=60)
        single, joined = (Dataset.build(raw, name, 0, refit=refit) for refit in (False, True))
        for data in (single, joined):
            train = data.protocol.splits["train"]
            assert data.vocabularies["user_id"].tolist() == sorted(set(raw.users["user_id"][raw.user[train]]))
            income = raw.users["income"][raw.user[train]]
            assert (data.scalers["income"].low, data.scalers["income"].high) == (income.min(), income.max())
            assert data.encoding.mean_label == pytest.approx(raw.label[train].mean())
        assert len(joined.vocabularies["user_id"]) > len(single.vocabularies["user_id"])


class TestWithoutValidationRows:
    @pytest.mark.parametrize("name", PROTOCOLS)
    def test_printed(self, name):
        data = Dataset.build(random_raw(), name, 0, refit=True)
        for text in (data.summary(), repr(data), repr(data.protocol)):
            assert not re.search(r"[0-9] validation|validation +[0-9]", text)
            assert re.search(rf"\b{len(data.train)} train\b|\btrain +{len(data.train)}\b", text)

    def test_asking_for_them_says_why_there_are_none(self):
        data = Dataset.build(random_raw(), "temporal", 0, refit=True)
        with pytest.raises(InputError, match=r"no validation rows, only train, test\. Built with refit=True"):
            data.validation  # noqa: B018 (reading it is what raises)

    def test_a_split_that_no_data_set_has(self):
        with pytest.raises(InputError, match=r"train, validation, test\. Received: 'dev'"):
            Dataset.build(random_raw(), "temporal", 0).split("dev")
