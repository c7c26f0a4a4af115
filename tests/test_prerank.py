"""`prerank.py` and the requests behind it: what a service may ask, what is refused, what is printed and exported."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from helpers import permute_labels, plain_arrays
from script_helpers import assert_short_error, script, write_movielens
from serving_helpers import Reference, dataset, random_model, ranker_of, save_run, text_ids

import prerank
import train_movielens_whole_models
from preprocessing.dataset import Dataset
from preprocessing.errors import InputError
from preprocessing.synthetic import synthetic_movielens
from serving.explain import explain
from serving.export import export_onnx
from serving.manifest import model_checksum
from serving.ranker import PreRanker
from serving.source import histories, item_entities, load_dataset, mean_labels, user_entities
from serving.update import build_index


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def ranker(data, tmp_path_factory) -> PreRanker:
    return ranker_of(tmp_path_factory.mktemp("run"), random_model("int_tower", data), data)


@pytest.fixture(scope="module")
def reference(ranker, data) -> Reference:
    return Reference(random_model("int_tower", data), data)


class TestUserGivenByFeatures:
    def raw(self, data: Dataset, row: int) -> dict:
        """A user's raw features, out of the tables as they were read."""
        known = user_entities(data, random_model("int_tower", data))
        liked = data.vocabularies["movie_id"].tolist()
        history = known.features.batch("liked_movies", torch.tensor([row])).values.tolist()
        return data.raw.users.iloc[row][["user_id", "gender", "income"]].to_dict() | {
            "user_mean_rating": float(known.features.values["user_mean_rating"][row]),
            "liked_movies": [liked[number - 1] for number in history],
        }

    def test_scores_as_the_known_user_does(self, ranker, reference, data):
        for row in range(5):
            raw = self.raw(data, row)
            expected = reference(int(raw["user_id"]), reference.items)
            assert ranker.score(raw, reference.items) == pytest.approx(expected, abs=1e-5)

    def test_a_known_id_fills_in_what_is_not_given(self, ranker, reference, data):
        raw = self.raw(data, 2)
        expected = ranker.score(raw | {"gender": "F"}, reference.items)
        assert ranker.score({"user_id": raw["user_id"], "gender": "F"}, reference.items) == pytest.approx(expected)
        assert ranker.score({"user_id": raw["user_id"]}, reference.items) == pytest.approx(
            ranker.score(int(raw["user_id"]), reference.items)
        )

    def test_a_new_user_has_the_mean_statistic_and_no_history(self, ranker, reference, data):
        labels = data.raw.label[data.protocol.splits["train"]]
        full = {
            "user_id": -1,
            "gender": "M",
            "income": 1010.0,
            "user_mean_rating": float(labels.mean()),
            "liked_movies": [],
        }
        short = {"user_id": None, "gender": "M", "income": 1010.0}
        assert ranker.score(short, reference.items) == pytest.approx(ranker.score(full, reference.items), abs=1e-6)

    def test_known_users_and_features_in_one_request(self, ranker, reference, data):
        users = [107, self.raw(data, 3), np.int64(100)]
        together = ranker.score(users, reference.items)
        assert together == pytest.approx(np.array([ranker.score(user, reference.items) for user in users]), abs=1e-6)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"income": float("nan")}, "'income' must be a finite number. Received: nan"),
            ({"user_mean_rating": float("inf")}, "'user_mean_rating' must be a finite number"),
            ({"income": 1e300}, "'income'"),
            ({"income": "much"}, "'income' must be a number. Received: 'much'"),
            ({"income": None}, "'income' must be a number"),
            ({"income": True}, "'income' must be a number"),
            ({"income": -(10**5000)}, "'income' must be a finite number. Received: a whole number of 16610 bits"),
            ({"gender": 1}, "'gender' must be of type str, as in training. Received: 1"),
            ({"user_id": "107"}, "'user_id' must be of type int"),
            ({"liked_movies": 5000}, "'liked_movies' must be a list. Received: 5000"),
            ({"liked_movies": ["x"]}, "'liked_movies' must be of type int"),
            ({"colour": "red"}, "Unknown user feature 'colour'. This model reads: user_id, gender"),
        ],
    )
    def test_bad_features(self, change, message, ranker, data):
        with pytest.raises(InputError, match=message):
            ranker.rank(self.raw(data, 0) | change)

    def test_missing_features_are_named(self, ranker):
        with pytest.raises(InputError, match="user feature 'income' is missing"):
            ranker.rank({"user_id": 5, "gender": "F"})


class TestBadRequests:
    @pytest.mark.parametrize("user", [99, -1, "107", None, 1.5, True])
    def test_unknown_user(self, user, ranker):
        with pytest.raises(InputError, match=r"Unknown user .* the index knows 12 users"):
            ranker.rank(user)

    @pytest.mark.parametrize(
        ("candidates", "message"),
        [
            ([], "list of candidates is empty"),
            (np.array([], dtype=np.int64), "list of candidates is empty"),
            ([5000, 1, 4997, 2], "2 of 4 candidates are not in the index: 1, 2"),
            (["5000"], "must be a list of whole numbers"),
            ([5000.0], "must be a list of whole numbers"),
            ([None], "must be a list of whole numbers"),
        ],
    )
    def test_candidates(self, candidates, message, ranker):
        for ask in (ranker.rank, ranker.score):
            with pytest.raises(InputError, match=message):
                ask(107, candidates)

    @pytest.mark.parametrize("k", [0, -1, 1.5, "3", True, None])
    def test_k(self, k, ranker):
        with pytest.raises(InputError, match="k must be a whole number of at least 1"):
            ranker.rank(107, k=k)

    def test_ids_that_are_not_text(self, data, tmp_path):
        data = text_ids(data)
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        asks = (
            lambda bad: ranker.rank(bad),
            lambda bad: ranker.rank({"user_id": bad}),
            lambda bad: ranker.rank("u107", [bad]),
            lambda bad: ranker.delete(["m5000", bad]),
            lambda bad: ranker.upsert([{"movie_id": bad, "price": 1.0, "genres": []}]),
        )
        for ask in asks:
            with pytest.raises(InputError, match=r"An id holds half of a surrogate pair.*Received: 'x\\ud800'"):
                ask("x\ud800")

    def test_no_users(self, ranker):
        with pytest.raises(InputError, match="list of users is empty"):
            ranker.rank([])

    def test_duplicate_candidates_rank_once_and_score_each_time(self, ranker):
        assert sorted(ranker.rank(107, [5000, 4997, 5000]).items.tolist()) == [4997, 5000]
        first, _, again = ranker.score(107, [5000, 4997, 5000])
        assert first == again

    def test_no_index(self, data, tmp_path):
        save_run(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match=r"has no item index. Build it: python prerank.py build"):
            PreRanker.load(tmp_path)

    def test_ranking_model(self, data, tmp_path):
        save_run(tmp_path, random_model("deep_fm", data), data)
        with pytest.raises(InputError, match="holds DeepFM, a ranking model"):
            PreRanker.load(tmp_path)

    def test_model_trained_again_since(self, data, tmp_path):
        ranker_of(tmp_path, random_model("hit", data), data)
        save_run(tmp_path, random_model("hit", data, seed=4), data)
        with pytest.raises(InputError, match="older than its model"):
            PreRanker.load(tmp_path)

    def test_model_without_encodings(self, data, tmp_path):
        model = random_model("hit", data)
        model.save(tmp_path)
        build_index(tmp_path, model, data)
        with pytest.raises(InputError, match="lacks columns, vocabularies or scalers"):
            PreRanker.load(tmp_path)


class TestServingFeatures:
    """What a request sees of the labels is what a test row sees, under the honest protocols."""

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_statistics_and_histories_are_those_of_test_rows(self, protocol):
        data = dataset(protocol)
        rows = data.test.rows
        batch = data.test.batch(torch.arange(len(rows)), ["user_mean_rating", "item_mean_rating", "liked_movies"])
        users, items = data.user[rows], data.item[rows]
        assert torch.equal(mean_labels(data, data.raw.user, len(data.raw.users))[users], batch["user_mean_rating"])
        assert torch.equal(mean_labels(data, data.raw.item, len(data.raw.items))[items], batch["item_mean_rating"])
        served = histories(data).batch(users)
        assert torch.equal(served.values, batch["liked_movies"].values)
        assert torch.equal(served.offsets, batch["liked_movies"].offsets)

    def test_published_test_labels_are_not_served(self):
        """Permuting the labels of test rows changes what the protocol computes for them, and nothing of an index."""
        data = dataset("published")
        test = data.protocol.splits["test"]
        other = Dataset.build(permute_labels(data.raw, test, seed=1), "published", 0)
        if not np.array_equal(other.protocol.splits["test"], test):
            pytest.fail("the permutation must leave every user a positive for this test to compare the same rows")
        model = random_model("hit", data)
        for entities in (user_entities, item_entities):
            one, two = entities(data, model).features, entities(other, model).features
            assert all(torch.equal(one.values[name], two.values[name]) for name in one.values)
            assert all(torch.equal(one.lists[name].values, two.lists[name].values) for name in one.lists)
        assert not torch.equal(data.per_row.values["user_mean_rating"], other.per_row.values["user_mean_rating"])

    def test_an_item_tower_that_reads_the_impression_is_refused(self, data):
        model = random_model("dssm", data)
        model.item_columns.append(model.user_columns[-1])
        with pytest.raises(InputError, match="item tower reads user_mean_rating, which belongs to the impression"):
            item_entities(data, model)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_movielens(tmp_path_factory.mktemp("ml-tiny"))


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory) -> Path:
    """IntTower, trained by the script and with an index built by the command."""
    out = tmp_path_factory.mktemp("runs") / "run"
    argv = ["--model_name", "int_tower", "--data_path", folder, "--epoch", 2, "--lr", 0.03, "--batch_size", 64]
    argv += ["--protocol", "holdout", "--device", "cpu", "--quiet", "--out", out]
    assert script(train_movielens_whole_models.main, *argv) == 0
    assert script(prerank.main, "build", out, "--data_path", folder, "--precision", "bfloat16") == 0
    return out


class TestCommand:
    def test_rank_prints_names_and_what_was_liked(self, trained, capsys):
        assert script(prerank.main, "rank", trained, "--user", 3, "--top", 4) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "User: user_id 3, gender F, age 35, occupation 3"
        assert lines[1] == "Best 4 of 20 items"
        assert lines[2].split() == ["rank", "movie_id", "score", "title", "genres", "liked", "before"]
        ranking = PreRanker.load(trained).rank(3, k=4)
        for line, item, score in zip(lines[4:], ranking.items, ranking.scores, strict=True):
            assert line.split()[1:5] == [str(item), f"{score:.4f}", "Film", str(item // 10)]

    def test_json_says_what_the_ranker_says(self, trained, folder, capsys):
        assert script(prerank.main, "rank", trained, "--user", 3, "--json", "--top", 100, "--levels", "1,3") == 0
        answer = json.loads(capsys.readouterr().out)
        ranking = PreRanker.load(trained).rank(3, levels=[1, 3])
        assert [item["movie_id"] for item in answer["items"]] == ranking.items.tolist()
        assert [item["score"] for item in answer["items"]] == pytest.approx(ranking.scores)
        data = load_dataset(trained, str(folder))
        rows = [row for row in data.protocol.splits["train"] if data.raw.user[row] == 2 and data.raw.label[row]]
        rows.sort(key=lambda row: -data.raw.timestamp[row])
        assert [item["movie_id"] for item in answer["liked_before"]] == [
            int(data.raw.items["movie_id"][data.raw.item[row]]) for row in rows
        ]

    def test_candidates_from_a_file(self, trained, capsys, tmp_path):
        (tmp_path / "some").write_text("10\n50\n10\n")
        assert script(prerank.main, "rank", trained, "--user", 3, "--json", "--candidates", tmp_path / "some") == 0
        assert sorted(item["movie_id"] for item in json.loads(capsys.readouterr().out)["items"]) == [10, 50]

    def test_features_of_anybody(self, trained, capsys):
        features = {"user_id": 999, "gender": "F", "age": 25, "occupation": 3}
        assert script(prerank.main, "rank", trained, "--features", json.dumps(features), "--json") == 0
        answer = json.loads(capsys.readouterr().out)
        assert answer["user"] == features
        assert answer["liked_before"] == []

    def test_explain_draws_and_prints_the_weights(self, trained, capsys):
        assert script(prerank.main, "rank", trained, "--user", 3, "--explain") == 0
        out = capsys.readouterr().out
        assert "Light-SE, user: user_id 0." in out
        assert (trained / "explain-3.png").read_bytes().startswith(b"\x89PNG")

    def test_upsert_and_delete(self, trained, capsys, tmp_path):
        new = {"movie_id": 7777, "genres": ["Drama", "War"], "title": "New"}
        assert script(prerank.main, "upsert", trained, "--items", json.dumps([new])) == 0
        (tmp_path / "new").write_text("7777\n")
        ask = ["rank", trained, "--user", 3, "--json", "--candidates", tmp_path / "new"]
        capsys.readouterr()
        assert script(prerank.main, *ask) == 0
        item = json.loads(capsys.readouterr().out)["items"][0]
        assert (item["title"], item["genres"]) == ("New", "Drama|War")
        assert script(prerank.main, "delete", trained, "--items", tmp_path / "new") == 0
        assert script(prerank.main, *ask) == 2
        assert "1 of 1 candidates are not in the index: 7777" in capsys.readouterr().err

    def test_texts_are_strings_or_lists_of_them_or_nothing(self, trained, capsys):
        for title, shown in (("New", "New"), (None, ""), (["Old", None, "New"], "Old|New"), ([], "")):
            item = {"movie_id": 7778, "genres": [], "title": title}
            assert script(prerank.main, "upsert", trained, "--items", json.dumps(item)) == 0
            items = PreRanker.load(trained).state.items
            assert items.text("title", items.find([7778])) == [shown]
        PreRanker.load(trained).delete([7778])

    @pytest.mark.parametrize("title", [2001, True, 1.5, {"a": "b"}, ["Film", 2001], [["Film"]]])
    def test_other_texts_are_refused(self, title, trained, capsys):
        item = {"movie_id": 7778, "genres": [], "title": title}
        assert script(prerank.main, "upsert", trained, "--items", json.dumps(item)) == 2
        assert_short_error(capsys, f"'title' must be a string, a list of strings, or null. Received: {title}")

    def test_a_user_that_is_not_utf8(self, data, tmp_path, capsys):
        data = text_ids(data)
        ranker_of(tmp_path, random_model("dssm", data), data)
        assert script(prerank.main, "rank", tmp_path, "--user", os.fsdecode(b"u\xff")) == 2
        assert_short_error(capsys, "a byte that is not UTF-8. Give text. Received: 'u\\udcff'")

    def test_ids_of_a_file_are_its_lines(self, tmp_path):
        path = tmp_path / "ids"
        path.write_bytes("red shoes\r\n\n  blue\u2028hat \n".encode())
        assert prerank._ids(path, text=True) == ["red shoes", "blue\u2028hat"]
        path.write_bytes(b"\xff\xfe")
        with pytest.raises(InputError, match="is not UTF-8 text"):
            prerank._ids(path, text=True)

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["rank", "RUN", "--user", "99"], "Unknown user 99"),
            (["rank", "RUN", "--user", "x"], "--user: an id is a whole number here. Received: 'x'"),
            (["rank", "RUN"], "--user --features is required"),
            (["rank", "RUN", "--user", "3", "--top", "0"], "at least 1"),
            (["rank", "RUN", "--user", "3", "--levels", "4"], "numbers from 1 to 3. Received: [4]"),
            (["rank", "RUN", "--user", "3", "--levels", "first"], "'first' is not all, last or numbers"),
            (["rank", "RUN", "--user", "3", "--candidates", "no/such"], "no/such cannot be read"),
            (["rank", "RUN", "--features", "{"], "--features must be JSON"),
            (["rank", "RUN", "--features", "[1]"], "must be a JSON object"),
            (["rank", "RUN", "--features", "no/such"], "no/such cannot be read"),
            (["rank", "RUN", "--usr", "3"], "--user"),
            (["rank", "no/run", "--user", "3"], "no/run holds no saved model"),
            (["build", "RUN", "--precision", "fp16"], "bfloat16"),
            (["build", "no/run"], "no/run holds no saved model"),
            (["upsert", "RUN", "--items", "[1]"], "JSON object an item"),
            (
                ["upsert", "RUN", "--items", '{"movie_id": 1, "genres": [], "title": "\\ud800"}'],
                "'title' holds half of",
            ),
            (["upsert", "RUN", "--items", '{"movie_id": 1, "genres": ["\\ud800"]}'], "'genres' holds half of"),
            (["export", "RUN", "--format", "tflite"], "onnx"),
            ([], "build|rank|upsert|delete|export"),
        ],
    )
    def test_bad_input(self, argv, message, trained, capsys):
        assert script(prerank.main, *(trained if one == "RUN" else one for one in argv)) == 2
        assert_short_error(capsys, message)

    @pytest.mark.parametrize("path", ["no/such", "."])
    def test_synthetic_data_is_not_read_from_a_path(self, path, tmp_path, capsys, monkeypatch):
        raw = synthetic_movielens(users=20, movies=15, interactions=250)
        monkeypatch.setattr("serving.source.synthetic_movielens", lambda: raw)
        data = Dataset.build(raw, "holdout", 0)
        save_run(tmp_path, random_model("dssm", data), data)
        assert script(prerank.main, "build", tmp_path, "--data_path", path) == 2
        assert_short_error(capsys, f"Leave --data_path out. Received: --data_path {path}")
        assert not (tmp_path / "index").exists()
        for given in (["--data_path", "synthetic"], []):
            assert script(prerank.main, "build", tmp_path, *given) == 0

    def test_build_from_other_data_is_refused(self, trained, folder, tmp_path, capsys):
        for name in ("users.dat", "movies.dat", "ratings.dat"):
            (tmp_path / name).write_bytes((folder / name).read_bytes())
        lines = (tmp_path / "ratings.dat").read_text().splitlines()
        (tmp_path / "ratings.dat").write_text("\n".join(lines[1:]) + "\n")
        before = (trained / "index" / "manifest.json").read_bytes()
        assert script(prerank.main, "build", trained, "--data_path", tmp_path) == 2
        assert "Give the same data with --data_path" in capsys.readouterr().err
        assert (trained / "index" / "manifest.json").read_bytes() == before


class TestExplain:
    @pytest.mark.parametrize("name", ["int_tower", "hit", "mvke", "poly_encoder"])
    def test_terms_sum_to_the_logit(self, name, data, tmp_path):
        model = random_model(name, data)
        ranker = ranker_of(tmp_path, model, data)
        ranking = ranker.rank(107, k=6)
        explanation = explain(ranker, 107, ranking.items.tolist())
        assert explanation.terms.shape == (6, len(explanation.names))
        assert explanation.terms.sum(1) + model.bias.item() == pytest.approx(ranking.logits, abs=1e-4)

    def test_terms_and_matches_equal_a_loop_over_heads(self, ranker, reference):
        """Two levels with two user heads each; three item heads; all of size 4."""
        model, items = reference.model, reference.items[:5]
        arrays = {name: torch.from_numpy(array) for name, array in reference.arrays.items()}
        with torch.no_grad():
            levels = model.encode_user({name: array[[reference.user_row[107]]] for name, array in arrays.items()})
            places = [reference.item_row[item] for item in items]
            vectors = model.encode_item({name: array[places] for name, array in arrays.items()})
        explanation = explain(ranker, 107, items)
        user_heads = [head for level in levels for head in level.view(2, 4)]
        for row, item_heads in enumerate(vectors.view(5, 3, 4)):
            products = [[float(head @ other) for other in item_heads] for head in user_heads]
            assert explanation.terms[row].tolist() == pytest.approx([max(each) for each in products], abs=1e-5)
            assert explanation.matched[row].tolist() == [1 + each.index(max(each)) for each in products]

    def test_field_weights_stand_beside_their_fields(self, data, tmp_path):
        model, parts = random_model("int_tower", data), {"user": [1.0, 2.0, 5.0], "item": [1.0, 3.0]}
        for side, weights in parts.items():
            layer = getattr(model, f"{side}_light_se").excitation
            layer.weight.data.zero_()
            layer.bias.data = torch.tensor(weights).log()  # softmax gives each its share
        explanation = explain(ranker_of(tmp_path, model, data), 107, [5000, 4997])
        assert explanation.field_weights["user"] == pytest.approx(
            {"user_id": 1 / 8, "gender": 2 / 8, "liked_movies": 5 / 8}
        )
        assert explanation.field_weights["item"] == pytest.approx({"movie_id": 1 / 4, "genres": 3 / 4})

    def test_an_unknown_item(self, ranker):
        with pytest.raises(InputError, match=r"Not in the index: \[1\]"):
            explain(ranker, 107, [5000, 1])

    def test_levels_name_the_heads(self, ranker):
        explanation = explain(ranker, 107, [5000], levels=[2])
        assert explanation.names == ["level 2, head 1", "level 2, head 2"]
        assert explanation.matched.shape == (1, 2)

    def test_a_model_of_one_vector_has_nothing_to_explain(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        with pytest.raises(InputError, match="DSSM has no heads to explain"):
            explain(ranker, 107, [5000])


class TestExport:
    @pytest.fixture(scope="class")
    @classmethod
    def exported(cls, data, tmp_path_factory) -> dict:
        """name -> paths; an export takes seconds"""
        runs = {name: tmp_path_factory.mktemp(name) for name in ("int_tower", "mvke")}
        return {name: export_onnx(save_run(run, random_model(name, data), data)) for name, run in runs.items()}

    @pytest.mark.parametrize("name", ["int_tower", "mvke"])
    def test_onnx_programs_give_what_predict_gives(self, name, data, exported):
        model = random_model(name, data)
        sessions = {path.stem: onnxruntime.InferenceSession(path) for path in exported[name]}
        arrays = plain_arrays(data.test, model.feature_names)

        def tower(kind: str) -> np.ndarray:
            inputs = sessions[kind].get_inputs()
            types = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
            return sessions[kind].run(None, {one.name: arrays[one.name].astype(types[one.type]) for one in inputs})[0]

        logits = sessions["scorer"].run(None, {"query": tower("user_tower"), "item": tower("item_tower")})[0]
        assert logits.shape == (len(data.test), len(data.test))
        assert 1 / (1 + np.exp(-np.diag(logits))) == pytest.approx(model.predict(data.test)[:, 0], abs=1e-5)

    def test_each_program_names_its_model(self, exported):
        for paths in exported.values():
            run = paths[0].parent.parent
            for path in paths:
                metadata = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map
                assert metadata["model_sha256"] == model_checksum(run)
            assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)

    def test_without_onnx_the_remedy_is_named(self, data, tmp_path, monkeypatch):
        save_run(tmp_path, random_model("dssm", data), data)
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        with pytest.raises(InputError, match=r"onnxscript is missing. pip install -r requirements-dev.txt"):
            export_onnx(tmp_path)

    def test_a_program_that_disagrees_is_not_written(self, data, exported, tmp_path, monkeypatch):
        save_run(tmp_path, random_model("int_tower", data, seed=4), data)
        programs = iter([path.read_bytes() for path in exported["int_tower"]])  # of other weights
        monkeypatch.setattr("serving.export._export", lambda *_: next(programs))
        with pytest.raises(InputError, match="Nothing was written"):
            export_onnx(tmp_path)
        assert not (tmp_path / "onnx").exists()
