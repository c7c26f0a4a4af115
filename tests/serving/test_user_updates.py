"""Users that come and move on: an index is changed without a rebuild, and the next request of any process sees it."""

from __future__ import annotations

import json
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from frame_helpers import build as frames_data
from helpers import GENRES
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_helpers import dataset, random_model, ranker_of, text_ids

from foundation.errors import InputError, InputWarning
from foundation.features import Bags
from foundation.sealed import seal
from serving.export import export_onnx
from serving.from_run import item_entities, user_entities
from serving.rank_table import liked_before
from serving.ranker import PreRanker
from serving.writer import write_index

NEW = {"user_id": 9000, "gender": "F", "income": 1010.0}


def raw_users(data) -> dict[int, dict]:
    """User -> all raw features, as the index has them after a build."""
    known, vocabulary = user_entities(data, random_model("int_tower", data)).features, data.vocabularies["movie_id"]
    found = {}
    for row, one in enumerate(data.raw.users.to_dict("records")):
        history = known.batch("liked_movies", torch.tensor([row])).values.tolist()
        found[one["user_id"]] = one | {
            "user_mean_rating": float(known.values["user_mean_rating"][row]),
            "liked_movies": [vocabulary.tolist()[number - 1] for number in history],
        }
    return found


class TestAnyChanges:
    USER = st.fixed_dictionaries(
        {},
        optional={
            "gender": st.sampled_from(["F", "M", None, "unseen"]),
            "income": st.floats(900, 1200),
            "user_mean_rating": st.floats(0, 1),
            "liked_movies": st.lists(st.sampled_from([5000, 4997, 4994, 9001, 9002]), max_size=4),
        },
    )

    @settings(max_examples=12)
    @given(draws=st.data())
    def test_give_what_the_model_says_of_such_users(self, draws, data, tmp_path_factory):
        """Also across rebuilds of the users' base, which come after 3 users here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("serving.writer.DELTA_ITEMS", 3)
            model = random_model("int_tower", data)
            ranker = ranker_of(tmp_path_factory.mktemp("changed"), model, data)
            ranker.upsert([{"movie_id": 9001, "price": 3.0, "genres": [GENRES[0]]}])
            fresh, there = PreRanker.load(ranker.state.run), raw_users(data)
            mean = float(data.raw.label[data.protocol.splits["train"]].mean(dtype=np.float64))
            for _ in range(draws.draw(st.integers(1, 6))):
                ids = draws.draw(st.lists(st.sampled_from([*list(there)[:6], 9000, 9001]), min_size=1, unique=True))
                rows = [draws.draw(self.USER) | {"user_id": one} for one in ids]
                rows = [row if row["user_id"] in there else NEW | row for row in rows]
                ranker.upsert_users(rows)
                for row in rows:
                    old = there.get(row["user_id"], {"user_mean_rating": mean, "liked_movies": []})
                    there[row["user_id"]] = old | row
            assert len(fresh._current().users) == len(there)
            assert len(list((ranker.state.run / "index").glob("users*.idx"))) <= 2  # nothing old is left
            items = fresh.rank(107, k=99).items.tolist()
            scores = fresh.score(list(there), items)
            for (user, raw), own in zip(there.items(), scores, strict=True):
                assert own == pytest.approx(self.expected(model, data, fresh, raw, items), abs=1e-5), user
                left = set(items) - set(raw["liked_movies"])
                assert set(fresh.rank(user, k=99, exclude="seen").items.tolist()) == left

    def expected(self, model, data, ranker, raw: dict, items: list) -> np.ndarray:
        """By the model itself, over tensors made from the raw values."""
        history = data.vocabularies["movie_id"].encode(pd.Index(raw["liked_movies"], dtype=np.int64))
        gender = data.vocabularies["gender"].encode(pd.Index([raw["gender"] or "unseen"], dtype=object))
        features = {
            "user_id": torch.from_numpy(data.vocabularies["user_id"].encode(pd.Index([raw["user_id"]]))),
            "gender": torch.from_numpy(gender),
            "income": torch.from_numpy(data.scalers["income"].transform("income", np.array([raw["income"]]))).float(),
            "user_mean_rating": torch.tensor([raw["user_mean_rating"]], dtype=torch.float32),
            "liked_movies": Bags(torch.from_numpy(history).int(), torch.tensor([0, len(history)], dtype=torch.int32)),
        }
        rows = ranker.state.items.find(items)
        names = [column.name for column in model.item_columns]
        table = ranker.state.items.entities(rows)  # in the order of rows
        batch = {name: table.features.batch(name, torch.arange(len(rows))) for name in names}
        with torch.inference_mode():
            users = model.encode_user(features).expand(len(rows), -1, -1)
            logits = model.interaction(users, model.encode_item(batch))
        by_row = dict(zip(np.sort(rows).tolist(), torch.sigmoid(logits.double()).tolist(), strict=True))
        return np.array([by_row[row] for row in rows.tolist()])


class TestUpsert:
    @pytest.mark.parametrize("text", [False, True])
    def test_equals_a_rebuilt_index(self, text, data, tmp_path):
        """To the bit: an index of the same users and items, written anew with two users in each other's place."""
        data = text_ids(data) if text else data
        model = random_model("hit", data)
        ranker = ranker_of(tmp_path / "changed", model, data)
        first, second = data.raw.users["user_id"].tolist()[:2]
        raws = raw_users(data)
        new = [raws[second] | {"user_id": first}, raws[first] | {"user_id": second}]
        ranker.upsert_users(new)
        users = user_entities(data, model)
        order = np.arange(len(users))
        order[:2] = [1, 0]
        swapped = users.take(order)
        swapped.features.values["user_id"] = users.features.values["user_id"]
        swapped.ids[:] = users.ids
        rebuilt = ranker_of(tmp_path / "rebuilt", model, data)
        file = rebuilt.state.items.base.file
        meta = {name: file.meta[name] for name in ("new_user", "new_item")}
        write_index(rebuilt.state.run, model, swapped, item_entities(data, model), "float32", meta)
        everyone = data.raw.users["user_id"].tolist()
        for exclude in (None, "seen"):
            rankings = (each.rank(everyone, k=99, exclude=exclude) for each in (ranker, rebuilt))
            for one, other in zip(*rankings, strict=True):
                assert (one.items.tolist(), one.logits.tolist()) == (other.items.tolist(), other.logits.tolist())

    def test_what_is_not_given_stays(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("int_tower", data), data)
        raw, items = raw_users(data)[107], [5000, 4997, 4994]
        steps = [{}, {"income": 1100.0}, {"user_mean_rating": 0.9}, {"liked_movies": [4994, 5000]}, {"gender": "F"}]
        seen = []
        for step in steps:
            raw |= step
            ranker.upsert_users([{"user_id": 107} | step])
            seen.append(ranker.score(107, items))
            assert seen[-1] == pytest.approx(ranker.score(raw, items), abs=1e-6)
        assert len({tuple(one.round(6)) for one in seen}) == len(steps)

    def test_a_new_user_has_the_mean_statistic_and_no_history(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("int_tower", data), data)
        with pytest.raises(InputError, match="Unknown user 9000"):
            ranker.rank(9000)
        expected = ranker.score(NEW, [5000, 4997])
        assert ranker.upsert_users([NEW]) == 2
        assert ranker.score(9000, [5000, 4997]) == pytest.approx(expected, abs=1e-6)
        assert len(ranker.state.users) == len(data.raw.users) + 1
        assert liked_before(ranker, 9000) == []

    def test_one_dict_is_a_list_of_one(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        assert ranker.upsert_users(NEW) == 2
        assert len(ranker.score(9000, [5000])) == 1

    def test_a_value_that_training_has_not_seen_is_warned_of(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.warns(InputWarning, match=r"not seen these values of users: 'FF' of 'gender'"):
            ranker.upsert_users(NEW | {"gender": "FF"})

    def test_known_and_new_users_in_one_request(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("int_tower", data), data)
        ranker.upsert_users([NEW, {"user_id": 107, "income": 1090.0, "liked_movies": [4997]}])
        users = [100, 9000, 107, 114, 9000]
        together = ranker.score(users, [5000, 4997, 4994])
        assert together == pytest.approx(np.array([ranker.score(one, [5000, 4997, 4994]) for one in users]), abs=1e-6)

    def test_an_item_that_training_has_not_seen_is_liked_and_seen(self, data, tmp_path):
        """Its encoded id is the one of all unknown items."""
        ranker = ranker_of(tmp_path, random_model("int_tower", data), data)
        ranker.upsert([{"movie_id": one, "price": 3.0, "genres": []} for one in (9001, 9002)])
        ranker.upsert_users([{"user_id": 107, "liked_movies": [9001, 5000, 7]}])
        assert set(ranker.rank(107, k=99).items) - set(ranker.rank(107, k=99, exclude="seen").items) == {9001, 5000}
        assert liked_before(ranker, 107) == [{"movie_id": 5000}, {"movie_id": 9001}]

    def test_of_texts(self, data, tmp_path):
        data = text_ids(data)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        new = {"user_id": "u", "gender": "F", "income": 1.0, "liked_movies": ["m5000"]}
        ranker.upsert_users([new, {"user_id": "u\x00", "gender": "M", "income": 2.0}, {"user_id": "u107", "income": 3}])
        assert "m5000" not in ranker.rank("u", k=99, exclude="seen").items
        assert "m5000" in ranker.rank("u\x00", k=99, exclude="seen").items
        assert len(ranker.state.users) == len(data.raw.users) + 2

    def test_features_of_the_request_are_not_kept(self, tmp_path):
        data = frames_data()
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.raises(
            InputError, match=r"Unknown user feature 'device'. An index of this model keeps: u, country"
        ):
            ranker.upsert_users([{"u": "u3", "device": "tv"}])
        ranker.upsert_users([{"u": "u3", "country": "PL", "hobbies": ["go"]}])
        given = {"u": "u3", "device": "tv", "hour": 3.0}
        expected = ranker.score(given | {"country": "PL", "hobbies": ["go"]}, [10, 20])
        assert ranker.score(given, [10, 20]) == pytest.approx(expected, abs=1e-6)

    def test_is_exported(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ranker.upsert_users([NEW, {"user_id": 107, "user_mean_rating": 0.25}])
        export_onnx(tmp_path)
        table = pd.read_parquet(tmp_path / "onnx" / "users.parquet").set_index("id")
        assert sorted(table.index) == sorted([*data.raw.users["user_id"], 9000])
        assert table.loc[107, "user_mean_rating"] == 0.25

    @pytest.mark.parametrize(
        ("users", "message"),
        [
            ([], "There is no user to add"),
            ([5], "Users must be a list of dicts of raw features. Received: 5"),
            ([{"gender": "F"}], "A user lacks its id 'user_id'"),
            ([{"user_id": None}], "A user lacks its id 'user_id'"),
            ([{"user_id": "x"}], "'user_id' of users must be a list of whole numbers"),
            ([{"user_id": 9000, "gender": "F"}], "user feature 'income' is missing"),
            ([{"user_id": 107, "income": "much"}], "'income' must be a number"),
            ([{"user_id": 107, "user_mean_rating": 4.2}], "must lie in 0..1"),
            ([{"user_id": 107, "liked_movies": 5000}], "'liked_movies' must be a list"),
            ([{"user_id": 107, "liked_movies": ["x"]}], "'liked_movies' must be of type int"),
            (
                [{"user_id": 107, "colour": "red"}],
                "Unknown user feature 'colour'. An index of this model keeps: user_id",
            ),
            ([{"user_id": 107}, {"user_id": 107, "income": 1.0}], "107 is there twice"),
        ],
    )
    def test_bad_users_change_nothing(self, users, message, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        before = sorted((tmp_path / "index").iterdir())
        with pytest.raises(InputError, match=message):
            ranker.upsert_users([NEW, *users] if isinstance(users, list) and users else users)
        assert sorted((tmp_path / "index").iterdir()) == before


class TestFiles:
    def test_threads_that_write_users_and_items_take_turns(self, data, tmp_path):
        errors = []
        ranker_of(tmp_path, random_model("dssm", data), data)

        def write(first: int) -> None:
            try:
                ranker = PreRanker.load(tmp_path)
                for new in range(first, first + 4):
                    ranker.upsert_users([NEW | {"user_id": new}])
                    ranker.upsert([{"movie_id": new, "price": 1.0, "genres": []}])
                    assert new in ranker.rank(new, k=99).items
            except InputError as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=(9000 + 10 * number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        ranker = PreRanker.load(tmp_path)
        users = ranker.state.users
        added = {9000 + 10 * number + new for number in range(3) for new in range(4)}
        assert {one for one in users.ids(users.live()).tolist() if one >= 9000} == added
        assert ranker.state.manifest.generation == 25

    def test_a_request_in_progress_keeps_its_users(self, data, tmp_path, monkeypatch):
        monkeypatch.setattr("serving.writer.DELTA_ITEMS", 0)
        monkeypatch.setattr("serving.writer.DELTA_SHARE", 0)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        old = ranker.state.users
        before = old.features(old.live(), ["income"])["income"]
        ranker.upsert_users([{"user_id": 107, "income": 1099.0}])
        assert not old.base.file.path.exists()
        assert torch.equal(old.features(old.live(), ["income"])["income"], before)
        assert PreRanker.load(tmp_path).state.manifest.users_delta is None

    def test_a_build_forgets_what_was_put_in(self, data, tmp_path):
        model = random_model("dssm", data)
        ranker = ranker_of(tmp_path, model, data)
        expected = ranker.score(107, [5000])
        ranker.upsert_users([{"user_id": 107, "income": 1099.0}, NEW])
        assert ranker.score(107, [5000]) != pytest.approx(expected, abs=1e-6)
        ranker_of(tmp_path, model, data)
        assert ranker.score(107, [5000]) == pytest.approx(expected, abs=1e-9)
        with pytest.raises(InputError, match="Unknown user 9000"):
            ranker.rank(9000)

    def test_an_index_of_before_users_could_change_is_refused(self, data, tmp_path):
        model = random_model("dssm", data)
        ranker_of(tmp_path, model, data)
        path = tmp_path / "index" / "manifest.json"
        saved = json.loads(path.read_text())
        path.write_text(seal({name: saved[name] for name in saved if name not in ("users_delta", "sha256")}))
        with pytest.raises(InputError, match=r"is of another version of this program. Build the index again"):
            PreRanker.load(tmp_path)
        ranker_of(tmp_path, model, data).rank(107)


@pytest.fixture(scope="module")
def data():
    return dataset()
