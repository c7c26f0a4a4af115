"""Items that come and go: an index is changed without a rebuild."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
import torch
from helpers import GENRES
from hypothesis import given, settings
from hypothesis import strategies as st
from serving_helpers import dataset, random_model, ranker_of, save_run, text_ids

from foundation.errors import InputError, InputWarning
from serving import state
from serving.from_run import item_entities
from serving.ranker import PreRanker
from serving.writer import build_index


@pytest.fixture(scope="module")
def data():
    return dataset()


class TestUnseenValues:
    """They are taken, and said: a misspelt genre is nothing that the model knows."""

    def test_they_are_named_once_with_the_nearest_known_one(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        items = [{"movie_id": one, "genres": ["Drama", "Wars", None]} for one in (5000, 4997)]
        with pytest.warns(InputWarning) as told:
            ranker.upsert(items)
        (message,) = (str(one.message) for one in told)
        assert message == (
            "Training has not seen these values of items: 'Wars' of 'genres'. Did you mean 'War'? They count as "
            "unknown ones."
        )

    def test_new_ids_and_missing_values_are_nothing_to_warn_of(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ranker.upsert({"movie_id": 7777, "genres": None, "price": 10.0})
            assert 7777 in ranker.item_ids()
            ranker.delete([7777])
            assert 7777 not in ranker.item_ids()


class TestUpdates:
    @settings(max_examples=12)
    @given(draws=st.data())
    def test_any_changes_give_what_a_rebuild_gives(self, draws, data, tmp_path_factory):
        """Also across rebuilds of the base, which come after 3 items here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("serving.writer.DELTA_ITEMS", 3)
            model = random_model("hit", data)
            ranker = ranker_of(tmp_path_factory.mktemp("changed"), model, data)
            fresh = PreRanker.load(ranker.state.run)
            there = {one: {} for one in data.raw.items["movie_id"].tolist()}
            for _ in range(draws.draw(st.integers(1, 6))):
                if draws.draw(st.booleans()) and len(there) > 3:
                    gone = draws.draw(st.lists(st.sampled_from(sorted(there)), min_size=1, max_size=3, unique=True))
                    ranker.delete(gone)
                    for one in gone:
                        del there[one]
                else:
                    ids = draws.draw(st.lists(st.integers(4990, 5010), min_size=1, max_size=3, unique=True))
                    rows = [
                        {
                            "movie_id": one,
                            "price": draws.draw(st.floats(0, 20)),
                            "genres": draws.draw(st.lists(st.sampled_from(GENRES), max_size=3)),
                            "item_mean_rating": draws.draw(st.floats(0, 1)),
                        }
                        for one in ids
                    ]
                    ranker.upsert(rows)
                    there |= {row["movie_id"]: row for row in rows}
            assert len(fresh.rank(107, k=1000)) == len(there)  # another reader sees it, too
            ranking = fresh.rank(107, k=1000)
            assert sorted(ranking.items.tolist()) == sorted(there)
            expected = self.rebuilt_scores(model, data, there)
            assert ranking.scores == pytest.approx([expected[one] for one in ranking.items.tolist()], abs=1e-5)
            few = sorted(there)[:4]
            assert fresh.score(107, few) == pytest.approx([expected[one] for one in few], abs=1e-5)
            assert len(list((ranker.state.run / "index").glob("*.idx"))) <= 3  # nothing old is left

    def rebuilt_scores(self, model, data, there: dict) -> dict[int, float]:
        """By the model itself, over arrays made from what each item should be."""
        names = [column.name for column in model.user_columns]
        row = int(np.flatnonzero(data.raw.users["user_id"].to_numpy()[data.raw.user[data.test.rows]] == 107)[0])
        stored = item_entities(data, model)
        place = {one: at for at, one in enumerate(stored.ids.tolist())}
        with torch.inference_mode():
            user = model.encode_user(data.test.batch(torch.tensor([row]), names))
            scores = {}
            for one, raw in there.items():
                if raw:
                    bags = torch.from_numpy(data.vocabularies["genres"].encode(raw["genres"])).view(1, -1)
                    features = {
                        "movie_id": torch.from_numpy(data.vocabularies["movie_id"].encode([one])),
                        "price": torch.from_numpy(data.scalers["price"].transform("price", np.array([raw["price"]]))),
                        "genres": bags if bags.shape[1] else torch.zeros(1, 1, dtype=torch.int32),
                        "item_mean_rating": torch.tensor([raw["item_mean_rating"]], dtype=torch.float32),
                    }
                else:
                    features = {
                        c.name: stored.features.batch(c.name, torch.tensor([place[one]])) for c in model.item_columns
                    }
                scores[one] = float(torch.sigmoid(model.interaction(user, model.encode_item(features)).double()))
        return scores

    def test_what_is_not_given_stays(self, data, tmp_path):
        model = random_model("int_tower", data)
        ranker = ranker_of(tmp_path, model, data)
        before = ranker.score(107, [5000])[0]
        ranker.upsert([{"movie_id": 5000}])
        assert ranker.score(107, [5000])[0] == pytest.approx(before, abs=1e-6)
        ranker.upsert([{"movie_id": 5000, "price": 15.0}])
        changed = ranker.score(107, [5000])[0]
        ranker.upsert([{"movie_id": 5000, "item_mean_rating": 0.9}])
        both = ranker.score(107, [5000])[0]
        assert len({round(float(one), 6) for one in (before, changed, both)}) == 3
        price = item_entities(data, model).features.values["price"]
        assert ranker.state.items.entities(ranker.state.items.find([5000])).features.values["price"] > price.max()

    def test_equal_scores_stand_in_the_order_of_ids(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("hit", data), data)
        same = {"price": 5.0, "genres": ["War"]}  # and an unknown id, which new items have in common
        ranker.upsert([{"movie_id": one} | same for one in (9003, 9001, 9002)])
        ranking = ranker.rank(107, [9002, 9003, 9001])
        assert len(set(ranking.scores.tolist())) == 1
        assert ranking.items.tolist() == [9001, 9002, 9003]
        everything = [one for one in ranker.rank(107, k=99).items.tolist() if one > 9000]
        assert everything == [9001, 9002, 9003]

    def test_a_request_in_progress_keeps_its_state(self, data, tmp_path, monkeypatch):
        """Files that are deleted under a snapshot stay readable through it."""
        monkeypatch.setattr("serving.writer.DELTA_ITEMS", 0)
        monkeypatch.setattr("serving.writer.DELTA_SHARE", 0)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        old = ranker.state.items
        expected = old.vectors(np.arange(5))
        ranker.upsert([{"movie_id": 5000, "price": 100.0}])
        assert not old.base.file.path.exists()
        assert torch.equal(old.vectors(np.arange(5)), expected)
        assert PreRanker.load(tmp_path).state.manifest.delta is None

    def test_readers_follow_a_build_for_another_model(self, data, tmp_path):
        reader = ranker_of(tmp_path, random_model("dssm", data, seed=3), data)
        before = reader.rank(107, k=5)
        other = random_model("hit", data, seed=4)
        save_run(tmp_path, other, data)
        assert reader.rank(107, k=5).items.tolist() == before.items.tolist()  # model and index of before
        with pytest.raises(InputError, match="of another model than the run"):
            PreRanker.load(tmp_path)
        build_index(tmp_path, other, data)
        expected = PreRanker.load(tmp_path).rank(107, k=5)
        after = reader.rank(107, k=5)
        assert (after.items.tolist(), after.scores.tolist()) == (expected.items.tolist(), expected.scores.tolist())
        assert after.scores.tolist() != before.scores.tolist()

    def test_readers_follow_a_build_after_the_index_was_deleted(self, data, tmp_path):
        """Its files have the names of those that the reader holds."""
        model = random_model("dssm", data)
        reader = ranker_of(tmp_path, model, data, "int8")
        shutil.rmtree(tmp_path / "index")
        build_index(tmp_path, model, data, "float32")
        reader.rank(107)
        assert reader.state.items.blocks_exact

    @pytest.mark.parametrize("differing", [1024, 0])
    def test_deleting_everything(self, differing, data, tmp_path, monkeypatch):
        monkeypatch.setattr("serving.writer.DELTA_ITEMS", differing)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ranker.delete(data.raw.items["movie_id"].tolist())
        with pytest.raises(InputError, match="holds no items"):
            ranker.rank(107)
        ranker.upsert([{"movie_id": 1, "price": 1.0, "genres": []}])
        assert ranker.rank(107).items.tolist() == [1]

    @pytest.mark.parametrize(
        ("items", "message"),
        [
            ([], "no item to add"),
            ([{"price": 1.0}], "lacks its id 'movie_id'"),
            ([{"movie_id": 1, "genres": []}], "item feature 'price' is missing"),
            ([{"movie_id": 1, "price": float("nan"), "genres": []}], "'price' must be a finite number"),
            ([{"movie_id": 1, "price": 1.0, "genres": "War"}], "'genres' must be a list"),
            ([{"movie_id": 1, "price": 1.0, "genres": [], "colour": "red"}], "Unknown item feature 'colour'"),
            ([{"movie_id": "x", "price": 1.0, "genres": []}], "must be a list of whole numbers"),
            ([{"movie_id": 1, "price": 10**400, "genres": []}], "'price' must be a finite number. Received: a whole"),
            ([{"movie_id": 5000}, {"movie_id": 5000, "price": 1.0}], "5000 is there twice"),
        ],
    )
    def test_bad_items_change_nothing(self, items, message, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        before = sorted((tmp_path / "index").iterdir())
        with pytest.raises(InputError, match=message):
            ranker.upsert(items)
        assert sorted((tmp_path / "index").iterdir()) == before

    def test_items_that_come_and_go_leave_nothing_behind(self, data, tmp_path):
        ranker, sizes = ranker_of(tmp_path, random_model("dssm", data), data), []
        ranker.delete([5000])
        for new in range(9000, 9020):
            ranker.upsert([{"movie_id": new, "price": 1.0, "genres": []}])
            ranker.delete([new])
            delta = PreRanker.load(tmp_path).state.items.delta
            sizes.append((delta.file.shape("gone"), len(delta), delta.file.size))
        assert set(sizes) == {((1,), 0, sizes[0][2])}
        assert 5000 not in ranker.rank(107, k=99).items
        ranker.upsert([{"movie_id": 5000, "price": 1.0, "genres": []}])
        assert 5000 in ranker.rank(107, k=99).items

    def test_deleted_items_leave_the_base_as_added_ones_enter_it(self, data, tmp_path, monkeypatch):
        """A replaced item counts once, and the item that set the scale of int8 sets it no longer."""
        monkeypatch.setattr("serving.writer.DELTA_ITEMS", 3)
        model = random_model("hit", data)
        model.item_side.embedding.table("movie_id").data[7] *= 1e4
        ranker = ranker_of(tmp_path, model, data, "int8")

        def base() -> tuple[int, float]:
            items = PreRanker.load(tmp_path).state.items
            return items.size, float(items.blocks.scales.max())

        size, scale = base()
        largest = ranker.state.items.base_vectors.abs().max(dim=1).values.argsort(descending=True)[:3].numpy()
        ids = ranker.state.items.ids(largest).tolist()
        ranker.delete(ids)
        others = [one for one in data.raw.items["movie_id"].tolist() if one not in ids]
        assert base() == (size, scale)
        ranker.upsert([{"movie_id": others[0]}])
        assert base()[0] == size - 3
        assert base()[1] < scale / 100
        for _ in range(2):
            ranker.upsert([{"movie_id": one} for one in others[:3]])
        assert PreRanker.load(tmp_path).state.manifest.delta is not None
        ranker.upsert([{"movie_id": 9000, "price": 1.0, "genres": []}])
        assert base()[0] == size - 2

    def test_text_ids_that_end_in_zero_characters_are_told_apart(self, data, tmp_path):
        data = text_ids(data)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ids = ["a", "a\x00", "a\x00\x00"]
        ranker.upsert([{"movie_id": one, "price": float(place), "genres": []} for place, one in enumerate(ids)])
        assert len(set(ranker.score("u107", ids).round(6))) == 3
        assert {one for one in ranker.rank("u107").items.tolist() if one.startswith("a")} == set(ids)
        ranker.delete(["a\x00"])
        assert sorted(ranker.rank("u107", ["a", "a\x00\x00", "m5000"]).items) == ["a", "a\x00\x00", "m5000"]

    def test_deleting_an_item_named_twice(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ranker.delete([5000, 4997, 5000])
        left = set(data.raw.items["movie_id"]) - {5000, 4997}
        assert set(ranker.rank(107, k=99).items.tolist()) == left
        assert len(ranker.state.items) == len(left)

    def test_a_model_that_is_not_the_saved_one_builds_nothing(self, data, tmp_path):
        """The run was trained again while `build` read the data: its items must not pass for the new model's."""
        old = random_model("dssm", data)
        ranker_of(tmp_path, old, data)
        before = (tmp_path / "index" / "manifest.json").read_bytes()
        save_run(tmp_path, random_model("dssm", data, seed=4), data)
        with pytest.raises(InputError, match="is another one than that which is to encode the items"):
            build_index(tmp_path, old, data)
        assert (tmp_path / "index" / "manifest.json").read_bytes() == before

    @pytest.mark.parametrize("settings", [{"dnn_use_bn": False, "dnn_dropout": 0.5}, {"dnn_use_bn": True}])
    def test_a_model_in_training_mode_builds_what_it_builds_in_evaluation_mode(self, settings, data, tmp_path):
        """And stays in its modes, of which a user may have frozen some parts."""
        model = random_model("int_tower", data, **settings)
        expected = ranker_of(tmp_path, model, data).rank(107, k=99)
        model.train()
        model.user_light_se.eval()
        modes = [module.training for module in model.modules()]
        build_index(tmp_path, model, data)
        assert [module.training for module in model.modules()] == modes
        ranking = PreRanker.load(tmp_path).rank(107, k=99)
        assert ranking.logits.tolist() == expected.logits.tolist()

    def test_a_model_replaced_while_it_is_read_is_read_again(self, data, tmp_path, monkeypatch):
        ranker_of(tmp_path, random_model("dssm", data), data)
        other = random_model("dssm", data, seed=4)
        read = state.load_two_tower

        def read_then_trained_again(run):
            model = read(run)
            monkeypatch.setattr(state, "load_two_tower", read)
            save_run(run, other, data)
            build_index(run, other, data)
            return model

        monkeypatch.setattr(state, "load_two_tower", read_then_trained_again)
        found = PreRanker.load(tmp_path).score(107, [5000])
        assert found == PreRanker.load(tmp_path).score(107, [5000])

    def test_deleting_the_unknown(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match="1 items to delete are not in the index"):
            ranker.delete([5000, 1])
        assert len(ranker.rank(107)) == len(data.raw.items)
