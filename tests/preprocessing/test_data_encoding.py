"""A model and rows that number their values otherwise never meet: whatever takes rows compares."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import torch
from encoding_helpers import ITEMS, LOG, USERS, from_frames, trained
from helpers import as_lists, assert_same_weights

from foundation.errors import InputError
from leaderboard.stages.candidates import candidate_scores, candidates
from model import build_model, load_model
from preprocessing.data_encoding import DataEncoding
from preprocessing.dataset import Dataset
from serving.ranker import PreRanker
from serving.writer import build_index

# What may differ in frames that look alike; each is a change of what some number means.
OTHERWISE = {
    "an item that is not shown": {"log": LOG[LOG["article"] != 1000]},
    "an item more": {
        "items": pd.concat([ITEMS, ITEMS.tail(1).assign(article=900)], ignore_index=True),
        "log": pd.concat([LOG, LOG.tail(40).assign(article=900, when=range(-40, 0))], ignore_index=True),
    },
    "other texts": {"users": USERS.assign(country=USERS["country"].replace("DE", "AT"))},
    "another scale": {"items": ITEMS.assign(price=ITEMS["price"] * 2)},
    "another mean of what is missing": {"users": USERS.assign(age=USERS["age"].where(USERS.index != 3))},
    "other tags": {"items": ITEMS.assign(tags=[["old"]] * 15)},
    "another seed": {"seed": 1, "log": LOG.drop_duplicates("article").pipe(lambda few: pd.concat([LOG.head(60), few]))},
}


@pytest.fixture(scope="module", params=OTHERWISE)
def other(request) -> Dataset:
    return from_frames(**OTHERWISE[request.param])


class TestRowsOfAnotherEncoding:
    @pytest.mark.parametrize("loaded", [False, True])
    @pytest.mark.parametrize("action", ["evaluate", "predict", "fit"])
    def test_are_refused(self, model, run, other, action, loaded):
        one = load_model(run) if loaded else copy.deepcopy(model)
        one.compile("adam")
        before = copy.deepcopy(one)
        with pytest.raises(InputError, match=r"numbers the values of .* otherwise"):
            getattr(one, action)(other.train)
        assert_same_weights(one, before)

    def test_are_refused_for_validation(self, data, other):
        model = small_model_of(data)
        with pytest.raises(InputError, match="otherwise"):
            model.fit(data.train, validation_data=other.validation, verbose=0)

    def test_are_refused_for_the_index(self, run, other):
        with pytest.raises(InputError, match="otherwise"):
            build_index(run, load_model(run), other)

    def test_are_refused_as_the_encoding_to_save(self, model, other, tmp_path):
        with pytest.raises(InputError, match="otherwise"):
            model.save(tmp_path / "new", extra=other.encoding_json())
        assert not (tmp_path / "new").exists()

    def test_count_only_where_the_model_reads_them(self, data):
        columns = data.feature_columns(4)
        few = type(columns)(columns.user[:1], columns.item[:1])
        model = build_model("dssm", few, dnn_hidden_units=(8, 4))
        model.compile("adam")
        model.fit(data.train, verbose=0)
        model.evaluate(from_frames(**OTHERWISE["other texts"]).test)
        with pytest.raises(InputError, match="values of article otherwise"):
            model.evaluate(from_frames(**OTHERWISE["an item more"]).test)


def small_model_of(data: Dataset):
    model = build_model("dssm", data.feature_columns(4), dnn_hidden_units=(8, 4))
    model.compile("adam")
    return model


class TestTheSameEncoding:
    def test_is_that_of_equal_frames_in_another_order(self, data, model):
        again = from_frames(users=USERS[::-1].reset_index(drop=True), items=ITEMS[::-1].reset_index(drop=True))
        assert again.encoding.identity == data.encoding.identity
        assert model.evaluate(again.test) == model.evaluate(data.test)

    @pytest.mark.parametrize("seed", range(8))
    def test_is_that_of_rows_in_any_order_though_sums_differ_in_their_last_bits(self, seed):
        rng = np.random.default_rng(0)
        frames = {
            "users": USERS.assign(age=rng.normal(size=20) * 17.3),
            "items": ITEMS.assign(price=np.where(np.arange(15) % 6 == 0, np.nan, rng.random(15) * 33.7)),
            "log": LOG.assign(distance=rng.random(400)),
        }
        expected = from_frames(**frames, protocol="temporal").encoding.identity
        shuffled = {name: frame.sample(frac=1, random_state=seed) for name, frame in frames.items()}
        assert from_frames(**shuffled, protocol="temporal").encoding.identity == expected

    @pytest.mark.parametrize("kind", ["int8", "Int64", "float32", "float64", "Float64", "object", "int64[pyarrow]"])
    def test_is_that_of_whole_numbers_of_another_type(self, kind):
        """A gap makes floats of integers."""
        level = pd.Series(np.arange(20) % 4)
        one, other = (
            from_frames(users=USERS.assign(level=values), kinds={"level": "sparse"})
            for values in (level, level.astype(kind))
        )
        assert one.encoding.identity == other.encoding.identity
        assert one.users.values["level"].tolist() == other.users.values["level"].tolist()

    def test_is_another_one_for_truth_values_and_for_fractions(self):
        number, truth, half = (
            from_frames(users=USERS.assign(level=values), kinds={"level": "sparse"}).encoding.identity["level"]
            for values in ([0, 1] * 10, [False, True] * 10, [0.5, 1.0] * 10)
        )
        assert len({number, truth, half}) == 3

    def test_comes_back_from_json(self, data, run):
        again = load_model(run).encoding
        assert again.identity == data.encoding.identity
        assert again.schema == data.schema
        assert DataEncoding.from_json({"note": 1}) is None

    def test_arrays_are_taken_at_their_word(self, model, data):
        names = model.feature_names
        batch = data.test.batch(torch.arange(len(data.test)), names)
        arrays = {name: padded(values) for name, values in batch.items()}
        np.testing.assert_allclose(model.predict(arrays), model.predict(data.test), atol=1e-6)


def padded(values) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        return values.numpy()
    rows = as_lists(values)
    width = max(1, *map(len, rows))
    return np.array([row + [0] * (width - len(row)) for row in rows])


class TestSavedWith:
    """What `save` is given as `extra`."""

    PARTS = ({"scalers": {}}, {"mean_label": 0.9}, {"columns": {}}, {"encoding": {}}, {"note": 1})

    @pytest.mark.parametrize("extra", PARTS, ids=str)
    def test_a_part_of_an_encoding_is_not_put_into_the_models(self, model, data, extra, tmp_path):
        model.save(tmp_path, extra=extra)
        again = load_model(tmp_path)
        assert again.encoding.to_json() == data.encoding.to_json()
        assert again.evaluate(data.test) == model.evaluate(data.test)

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ({"vocabularies": {}}, "a part of one"),
            ({"vocabularies": {"a": 1}, "columns": {"schema": 3}}, "a part of one"),
            ("note", "must be a dict"),
            ({"class": 1}, "cannot hold class"),
            ({"arguments": {}}, "cannot hold arguments"),
            ({"sha256": ""}, "cannot hold sha256"),
            ({"weights_sha256": ""}, "cannot hold weights_sha256"),
        ],
        ids=str,
    )
    def test_what_would_make_the_folder_unreadable_is_refused(self, model, extra, message, tmp_path):
        with pytest.raises(InputError, match=message):
            model.save(tmp_path / "new", extra=extra)
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("change", ["an item more", "other texts", "another scale"])
def test_requests_of_another_encoding_are_not_scored(change):
    """By the measure of stages, which scores them without `predict`."""
    one, other = ({"log": LOG} | frames for frames in ({}, OTHERWISE[change]))
    one, other = (from_frames(**frames | {"log": frames["log"].drop(columns="device")}) for frames in (one, other))
    model, users = trained(one, "dssm"), np.arange(3)
    assert candidate_scores(model, candidates(one, users)).shape == (3, 15)
    with pytest.raises(InputError, match="otherwise"):
        candidate_scores(model, candidates(other, users))


class TestFramesEncodedAsAModelExpects:
    NEW_ITEMS = pd.concat([ITEMS.drop(index=[2, 5]), ITEMS.head(1).assign(article=77, brand="new")], ignore_index=True)
    NEW_LOG = LOG[~LOG["article"].isin([1002, 1005])]

    @pytest.fixture(params=["folder", "config", "model", "data set", "encoding"])
    def given_as(self, request, run, model, data):
        return {
            "folder": str(run),
            "config": data.encoding_json(),
            "model": model,
            "data set": data,
            "encoding": data.encoding,
        }[request.param]

    def test_have_its_ids_and_scales(self, data, given_as):
        new = from_frames(items=self.NEW_ITEMS, log=self.NEW_LOG, encoding=given_as)
        old_rows = [ITEMS["article"].tolist().index(one) for one in self.NEW_ITEMS["article"][:-1]]
        for name, values in new.items.values.items():
            assert values[:-1].tolist() == data.items.values[name][old_rows].tolist(), name
        tags = new.items.lists["tags"].batch(torch.arange(len(self.NEW_ITEMS)))
        assert as_lists(tags)[:-1] == as_lists(data.items.lists["tags"].batch(torch.tensor(old_rows)))

    def test_have_the_reserved_id_for_new_values(self, run):
        new = from_frames(items=self.NEW_ITEMS, log=self.NEW_LOG, encoding=run)
        assert [int(new.items.values[name][-1]) for name in ("article", "brand")] == [0, 0]

    def test_score_as_the_frames_of_training_do(self, model, run, data):
        again = from_frames(encoding=run)
        assert model.evaluate(again.test) == model.evaluate(data.test)

    def test_need_no_name_that_the_encoding_knows(self, run, data):
        new = Dataset.from_frames(USERS, ITEMS, LOG, label="clicked", timestamp="when", encoding=run)
        assert new.users.values["age"].tolist() == data.users.values["age"].tolist()

    def test_may_have_columns_that_the_model_does_not_know(self, run):
        from_frames(log=LOG.assign(session=range(400)), users=USERS.assign(shoe=[40.0] * 20), encoding=run)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"users": USERS.drop(columns="country")}, "The model reads country, which no frame has"),
            ({"items": ITEMS.assign(article=ITEMS["article"].astype(str))}, "article"),
            ({"users": USERS.assign(country=[1, 2, 3, 4] * 5)}, "'country' holds texts .* Received numbers"),
            ({"item_id": "device"}, "item_id='device' contradicts the given encoding, which has 'article'"),
            ({"kinds": {"age": "sparse"}}, r"kinds\['age'\]='sparse' contradicts .* 'dense'"),
            ({"history": False}, "history=False contradicts"),
            ({"encoding": {"note": 1}}, "which holds none"),
            ({"encoding": "nowhere"}, "nowhere"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, run, changes, message):
        with pytest.raises(InputError, match=message):
            from_frames(**({"encoding": run} | changes))

    def test_train_on_where_the_model_stands(self, run):
        """A warm start."""
        model = load_model(run)
        model.compile("adam", lr=0.01)
        new = from_frames(items=self.NEW_ITEMS, log=self.NEW_LOG, encoding=run)
        model.fit(new.train, validation_data=new.validation, batch_size=64, verbose=0)
        assert np.isfinite(model.evaluate(new.test)["auc"])

    def test_make_an_index_whose_scores_are_the_models(self, model, run):
        """A nightly build: items come and go, and all are scored as the model scores their raw rows."""
        stays = self.NEW_ITEMS["article"].tolist()[:-1]
        tonight = {"items": self.NEW_ITEMS, "log": LOG[LOG["article"].isin(stays)]}
        for frames in ({}, tonight):
            build_index(run, load_model(run), from_frames(**frames, encoding=run))
            ranker, items = PreRanker.load(run), frames.get("items", ITEMS)
            frame = items.assign(customer="c3", country=None, member=True, age=23.0, device="phone")
            frame = frame.assign(user_mean_label=0.25, liked_article=[[1001, 1003]] * len(items))
            frame["item_mean_label"] = statistics_of(ranker, items["article"].tolist())
            user = {"customer": "c3", "device": "phone", "user_mean_label": 0.25, "liked_article": [1001, 1003]}
            scores = ranker.score(user, items["article"].tolist())
            np.testing.assert_allclose(scores, model.predict(frame)[:, 0], atol=1e-5)
        assert ranker.state.items.find([1002, 77]).tolist()[0] == -1
        assert ranker.state.items.find([77])[0] >= 0


def statistics_of(ranker: PreRanker, items: list) -> list[float]:
    """What the index holds of each item's mean label."""
    rows = ranker.state.items.find(items)
    values = [
        ranker.state.items.entities(rows[[place]]).features.values["item_mean_label"] for place in range(len(rows))
    ]
    return torch.cat(values).tolist()
