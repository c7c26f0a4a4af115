"""Which items a request is answered with: unknown ones are skipped, each user has a list, others are left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from helpers import random_raw
from hypothesis import given
from hypothesis import strategies as st
from serving_helpers import Reference, dataset, random_model, ranker_of, served_models, text_ids

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from serving.from_run import user_entities
from serving.ranker import USER_CHUNK, PreRanker

MODELS = ("int_tower", "dssm", "mvke")


@pytest.fixture(scope="module")
def served(data, tmp_path_factory) -> dict:
    """name -> (ranker, reference)"""
    return served_models(MODELS, data, tmp_path_factory)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> dict[str, PreRanker]:
    """Precision -> a ranker of 1,500 items, of which some were replaced, added and deleted."""
    data, result = dataset(rows=4000, items=1500), {}
    for precision in ("float32", "bfloat16", "int8"):
        ranker = ranker_of(tmp_path_factory.mktemp(precision), random_model("hit", data), data, precision)
        ids = data.raw.items["movie_id"].tolist()
        ranker.upsert([{"movie_id": one, "price": 2.0 + one % 9, "genres": ["War"]} for one in (*ids[:5], 9001, 9002)])
        ranker.delete(ids[5:9])
        ranker.rank(107, k=1)  # which opens the new state
        result[precision] = ranker
    return result


def plain(reference: Reference, user, items: list, k: int) -> tuple[list, list]:
    """The k best by `model.predict` and Python's own sort."""
    scores = dict(zip(items, reference(user, items), strict=True))
    best = sorted(scores, key=lambda one: -scores[one])[:k]
    return best, [scores[one] for one in best]


def assert_equal(ranking, expected) -> None:
    """To the bit."""
    assert ranking.items.tolist() == expected.items.tolist()
    assert ranking.logits.tolist() == expected.logits.tolist()
    assert ranking.scores.tolist() == expected.scores.tolist()


def assert_same(ranking, expected) -> None:
    """But for rounding."""
    assert ranking.items.tolist() == expected.items.tolist()
    assert ranking.scores == pytest.approx(expected.scores, abs=1e-6)


class TestMissing:
    @pytest.mark.parametrize("candidates", [[1, 5000, 2, 4997, 1], [4991, 1], [5000]])
    def test_skip_equals_leaving_out_by_hand(self, candidates, ranker):
        known = [one for one in candidates if one > 100]
        ranking = ranker.rank(107, candidates, missing="skip")
        assert_equal(ranking, ranker.rank(107, known))
        assert ranking.missing.tolist() == list(dict.fromkeys(one for one in candidates if one < 100))
        scores = ranker.score(107, candidates, missing="skip")
        assert np.isnan(scores).tolist() == [one < 100 for one in candidates]
        assert scores[~np.isnan(scores)].tolist() == ranker.score(107, known).tolist()

    def test_a_deleted_item_is_missing(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        expected = ranker.rank(107, [4997, 4994])
        ranker.delete([5000])
        ranking = ranker.rank(107, [4994, 5000, 4997], missing="skip")
        assert_equal(ranking, expected)
        assert ranking.missing.tolist() == [5000]

    @pytest.mark.parametrize("candidates", [[1, 2], []])
    def test_of_all_the_ranking_is_empty(self, candidates, ranker):
        ranking = ranker.rank(107, candidates, missing="skip")
        assert (len(ranking), ranking.missing.tolist()) == (0, candidates)
        assert len(ranking.to_frame()) == len(ranking.titles) == 0
        assert np.isnan(ranker.score(107, candidates, missing="skip")).all()
        together = ranker.rank([107, 100], candidates, missing="skip")
        assert [(len(one), one.missing.tolist()) for one in together] == [(0, candidates)] * 2
        for ask in (ranker.rank, ranker.score):
            with pytest.raises(InputError, match="Unknown user 99"):
                ask(99, candidates, missing="skip")

    def test_of_texts(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", text_ids(data)), text_ids(data))
        ranking = ranker.rank("u107", ["m1", "m5000"], missing="skip")
        assert (ranking.items.tolist(), ranking.missing.tolist()) == (["m5000"], ["m1"])

    def test_nothing_is_missing_where_all_are_there(self, ranker):
        assert ranker.rank(107, [5000]).missing.tolist() == ranker.rank(107).missing.tolist() == []

    @pytest.mark.parametrize(
        ("ask", "message"),
        [
            (lambda ranker: ranker.rank(107, [1, 5000]), 'not in the index: 1. Leave them out, as missing="skip" does'),
            (lambda ranker: ranker.score(107, [1]), "1 of 1 candidates are not in the index: 1"),
            (lambda ranker: ranker.rank(107, [1], missing="drop"), "missing must be one of error, skip. Received: 'dr"),
            (lambda ranker: ranker.rank(107, missing="drop"), "missing must be one of error, skip. Received: 'drop'"),
            (lambda ranker: ranker.rank(107, missing="skip"), "is for candidates, and all items are ranked. Leave it"),
        ],
    )
    def test_errors(self, ask, message, ranker):
        with pytest.raises(InputError, match=message):
            ask(ranker)


@pytest.mark.parametrize("name", MODELS)
class TestCandidatesOfEachUser:
    @given(draws=st.data())
    def test_equal_a_plain_loop(self, name, served, draws):
        ranker, reference = served[name]
        users = draws.draw(st.lists(st.sampled_from(reference.users), min_size=1, max_size=USER_CHUNK + 4))
        some = st.lists(st.sampled_from(reference.items), min_size=1, max_size=15)
        lists = draws.draw(st.lists(some, min_size=len(users), max_size=len(users)))
        k = draws.draw(st.integers(1, 16))
        scores = ranker.score(users, lists)
        for user, items, ranking, own in zip(users, lists, ranker.rank(users, lists, k), scores, strict=True):
            best, expected = plain(reference, user, items, k)
            assert ranking.scores == pytest.approx(expected, abs=1e-5)
            assert sorted(ranking.items.tolist()) == sorted(best)
            assert own == pytest.approx(reference(user, items), abs=1e-5)

    def test_equal_one_request_a_user(self, name, served):
        """More users than are scored at once, with few and with nearly all items."""
        ranker, reference = served[name]
        users = reference.users * 3
        lists = [reference.items[: 1 + 5 * place % len(reference.items)] for place in range(len(users))]
        rankings, scores = ranker.rank(users, lists, k=4), ranker.score(users, lists)
        assert len(users) > USER_CHUNK
        for user, items, ranking, own in zip(users, lists, rankings, scores, strict=True):
            assert_same(ranking, ranker.rank(user, items, k=4))
            assert own == pytest.approx(ranker.score(user, items), abs=1e-6)

    def test_do_not_depend_on_their_order_nor_on_other_users(self, name, served):
        ranker, reference = served[name]
        rng = np.random.default_rng(0)
        users = reference.users[:6]
        lists = [rng.permutation(reference.items)[: 3 + place].tolist() for place in range(6)]
        before = ranker.rank(users, lists)
        for one, other in zip(before, ranker.rank(users, [rng.permutation(one) for one in lists]), strict=True):
            assert_equal(one, other)
        order = rng.permutation(6).tolist()
        for place, ranking in zip(
            order, ranker.rank([users[one] for one in order], [lists[one] for one in order]), strict=True
        ):
            assert_same(ranking, before[place])


class TestListsOfLists:
    LISTS = ([5000, 4997], [4994, 4991])

    @pytest.mark.parametrize(
        "given",
        [
            ((5000, 4997), (4994, 4991)),
            iter([(one for one in (5000, 4997)), range(4991, 4995, 3)]),
            [{5000, 4997}, {4994, 4991}],
            np.array(LISTS),
            [np.array(one) for one in LISTS],
            pd.Series([*LISTS], index=[1, 0]),
            pa.array([*LISTS]),
            [pd.Series([5000, 4997]), pa.array([4994, 4991])],
        ],
        ids=["tuples", "generators", "sets", "2-D array", "arrays", "Series", "arrow", "a list of kinds"],
    )
    def test_come_in_whatever_holds_them(self, given, ranker):
        expected = ranker.rank([100, 107], self.LISTS)
        for one, other in zip(ranker.rank([100, 107], given), expected, strict=True):
            assert_equal(one, other)

    def test_of_texts(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", text_ids(data)), text_ids(data))
        one, other = ranker.rank(["u107", "u100"], [["m5000"], ["m4997", "m4994", "m1"]], missing="skip")
        assert (one.items.tolist(), one.missing.tolist()) == (["m5000"], [])
        assert (sorted(other.items), other.missing.tolist()) == (["m4994", "m4997"], ["m1"])

    def test_what_is_missing_is_told_to_each(self, ranker):
        lists = [[5000, 1], [2, 3, 2], [4997], []]
        rankings = ranker.rank([100, 107, 114, 121], lists, missing="skip")
        assert [one.missing.tolist() for one in rankings] == [[1], [2, 3], [], []]
        assert [one.items.tolist() for one in rankings] == [[5000], [], [4997], []]
        scores = ranker.score([100, 107, 114, 121], lists, missing="skip")
        assert [np.isnan(one).tolist() for one in scores] == [[False, True], [True] * 3, [False], []]

    @pytest.mark.parametrize(
        ("user", "candidates", "message"),
        [
            (107, [[5000], [4997]], "must be one list of ids where one user asks. Received: a list of lists"),
            ({"user_id": 107}, [[5000]], "must be one list of ids where one user asks"),
            ([107, 100], [[5000]], "or a list a user. Received: 1 lists for 2 users"),
            ([107, 100], np.full((3, 1), 5000), "or a list a user. Received: 3 lists for 2 users"),
            ([107, 100], [[5000], 4997], r"Received both: 4997 beside \[5000\]"),
            ([107, 100], [5000, [4997]], r"must be a list of whole numbers. Received: \[4997\]"),
            ([107, 100], [[5000], ["x"]], "must be a list of whole numbers. Received: 'x'"),
            ([107, 100], [[5000], []], "list of candidates of user 2 of 2 is empty"),
            ([107, 100], [], "The list of candidates is empty"),
            ([107, 100], {107: [5000], 100: [4997]}, "Candidates must be a list"),
            ([107, 100], [[5000], [1]], "1 of 2 candidates are not in the index: 1"),
        ],
    )
    def test_that_are_ambiguous_or_wrong(self, user, candidates, message, ranker):
        for ask in (ranker.rank, ranker.score):
            with pytest.raises(InputError, match=message) as error:
                ask(user, candidates)
            assert "\n" not in str(error.value)

    def test_without_an_order_are_not_scored(self, ranker):
        with pytest.raises(InputError, match=r"must be a list, in an order. Received: set"):
            ranker.score([107, 100], [{5000}, {4997}])


class TestExclusion:
    @pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
    @pytest.mark.parametrize("count", [1, 40, 700])
    def test_gives_the_best_of_what_is_left(self, precision, count, large):
        """Of all items scored in float32, the best ones of the index being left out for one user and others for
        another."""
        ranker = large[precision]
        everything, rng = ranker.state.items.ids(ranker.state.items.live()), np.random.default_rng(0)
        users = [107, 100, 114]
        best = ranker.rank(107, k=count).items
        exclude = [best, rng.choice(everything, count, replace=False), []]
        rankings = ranker.rank(users, k=30, exclude=exclude)
        for user, own, ranking in zip(users, exclude, rankings, strict=True):
            left = everything[~np.isin(everything, own)]
            scores = ranker.score(user, left)
            order = np.argsort(-scores, kind="stable")[:30]
            assert sorted(ranking.items.tolist()) == sorted(left[order].tolist())
            assert ranking.scores == pytest.approx(scores[order], abs=1e-6)
            alone = ranker.rank(user, k=30, exclude=own)
            assert_same(alone, ranking)
            assert_same(ranker.rank(user, left, k=30), ranking)

    @pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
    def test_of_all_but_a_few(self, precision, large):
        ranker = large[precision]
        everything = ranker.state.items.ids(ranker.state.items.live())
        few = ranker.rank(107, everything[-3:])
        one, none, all_ = ranker.rank([107, 107, 107], k=5, exclude=[everything[:-3], everything, []])
        assert_same(one, few)
        assert (len(none), len(all_)) == (0, 5)
        assert len(ranker.rank(107, exclude=everything)) == 0

    def test_of_candidates(self, ranker):
        candidates, exclude = [5000, 4997, 4994, 4991], [4997, 1, 4991, 4970]
        expected = ranker.rank(107, [5000, 4994])
        assert_same(ranker.rank(107, candidates, exclude=exclude), expected)
        for asked in (candidates, [candidates] * 2):
            shared = ranker.rank([107, 100], asked, exclude=exclude)
            assert_same(shared[0], expected)
            assert_same(shared[1], ranker.rank(100, [5000, 4994]))
            apart = ranker.rank([107, 100], asked, exclude=[exclude, []])
            assert_same(apart[0], expected)
            assert_same(apart[1], ranker.rank(100, candidates))
        assert len(ranker.rank(107, candidates, exclude=candidates)) == 0
        assert [len(one) for one in ranker.rank([107, 100], [candidates, [5000]], exclude=[[], [5000]])] == [4, 0]

    def test_of_ids_that_are_not_there_does_nothing(self, ranker):
        for exclude in ([1, 2], [], np.array([], dtype=np.int64)):
            assert_equal(ranker.rank(107, k=5, exclude=exclude), ranker.rank(107, k=5))

    @pytest.mark.parametrize(
        ("user", "exclude", "message"),
        [
            (107, "sen", "exclude must be one of seen, a list of ids. Received: 'sen'"),
            (107, 5000, "Items to exclude must be a list"),
            (107, ["x"], "Items to exclude must be a list of whole numbers. Received: 'x'"),
            (107, [[5000]], "Items to exclude must be one list of ids where one user asks"),
            ([107, 100], [[5000]], "Items to exclude must be .* a list a user. Received: 1 lists for 2 users"),
        ],
    )
    def test_errors(self, user, exclude, message, ranker):
        with pytest.raises(InputError, match=message):
            ranker.rank(user, exclude=exclude)


class TestSeen:
    @pytest.fixture(scope="class")
    @classmethod
    def liked(cls, data) -> dict[int, list[int]]:
        """User -> the items of its training rows with label 1: by hand."""
        raw, rows = data.raw, data.protocol.splits["train"]
        users, items = (frame.to_numpy() for frame in (raw.users["user_id"], raw.items["movie_id"]))
        found = {user: [] for user in users.tolist()}
        for row in rows[raw.label[rows] == 1]:
            found[int(users[raw.user[row]])].append(int(items[raw.item[row]]))
        return found

    def test_is_what_a_user_liked_in_training(self, ranker, liked):
        users = list(liked)
        assert any(liked.values())
        rankings = ranker.rank(users, k=99, exclude="seen")
        for user, ranking in zip(users, rankings, strict=True):
            assert_same(ranking, ranker.rank(user, k=99, exclude=liked[user]))
            assert not set(ranking.items.tolist()) & set(liked[user])
            assert_same(ranker.rank(user, k=99, exclude="seen"), ranking)
            own = {"user_id": user, "income": 1030.0}
            assert set(ranker.rank(own, k=99, exclude="seen").items.tolist()) == set(ranking.items.tolist())

    def test_is_the_history_of_the_request_where_it_has_one(self, ranker, liked):
        user = {"user_id": 107, "liked_movies": [5000, 4997, None]}
        assert_same(ranker.rank(user, k=99, exclude="seen"), ranker.rank(user, k=99, exclude=[5000, 4997]))
        new = {"user_id": None, "gender": "F", "income": 1000.0}
        assert_equal(ranker.rank(new, k=99, exclude="seen"), ranker.rank(new, k=99))
        one, other = ranker.rank([user, 100], k=99, exclude="seen")
        assert_same(one, ranker.rank(user, k=99, exclude="seen"))
        assert not set(other.items.tolist()) & set(liked[100])

    def test_is_left_out_of_candidates(self, ranker, liked):
        candidates = ranker.rank(107, k=99).items.tolist()
        ranking = ranker.rank(107, candidates, k=99, exclude="seen")
        assert sorted(ranking.items.tolist()) == sorted(set(candidates) - set(liked[107]))

    def test_is_kept_for_a_model_that_does_not_read_it(self, data, liked):
        model = random_model("dssm", data)
        model.user_columns[:] = [one for one in model.user_columns if one.name != "liked_movies"]
        users = user_entities(data, model)
        assert "liked_movies" in users.features.lists
        sizes = (users.liked.end - users.liked.start).tolist()
        assert sizes == [len(liked[one]) for one in users.ids.tolist()]

    def test_of_texts(self, data, liked, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", text_ids(data)), text_ids(data))
        left = ranker.rank("u107", k=99, exclude="seen").items.tolist()
        everything = ranker.rank("u107", k=99).items.tolist()
        assert sorted(left) == sorted(set(everything) - {f"m{one}" for one in liked[107]})

    def test_where_there_is_no_history(self, tmp_path):
        raw = random_raw()
        schema = replace(raw.schema, history=None)
        data = Dataset.build(replace(raw, schema=schema), "holdout", 0)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match=r"the data of this model have no history. Give a list of ids"):
            ranker.rank(107, exclude="seen")
        ranker.upsert_users([{"user_id": 107, "gender": "F"}])
        assert len(ranker.rank(107, k=99, exclude=[5000])) == len(raw.items) - 1

    def test_does_not_hide_a_wrong_request(self, ranker):
        for user, message in ((99, "Unknown user"), ({"user_id": 107, "liked_movies": 5000}, "must be a list")):
            with pytest.raises(InputError, match=message):
                ranker.rank(user, exclude="seen")
