"""`prerank.py`: what its commands print, and what they refuse."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from frame_helpers import build as frames_data
from script_helpers import assert_short_error, script, write_movielens
from serving_helpers import dataset, random_model, ranker_of, save_run, text_ids

import prerank
import train_movielens_whole_models
from foundation.errors import InputError
from foundation.shown import columns
from preprocessing.dataset import Dataset
from preprocessing.synthetic import synthetic_movielens
from serving.from_run import load_dataset
from serving.rank_table import liked_before
from serving.ranker import PreRanker
from serving.writer import build_index, replaced
from training.pictures import draw_png
from training.result_file import read_result


@pytest.fixture(scope="module")
def data():
    return dataset()


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


def script_output(capsys, *argv) -> str:
    capsys.readouterr()
    assert script(prerank.main, *argv) == 0
    return capsys.readouterr().out


class TestAnyItems:
    """Whatever columns are called and hold: what is printed is a line an item, and JSON is exact."""

    NAMES = ("score", "logit", "rank", "item_score", "liked before", "movie", "$x")
    TEXT = "A\x1b[31mred\nrow\u202e\t$x 電影 {}"

    @pytest.fixture(params=["movie_id", "score", "rank", "logit"])
    def answered(self, request, data, tmp_path) -> tuple[str, Path]:
        """(name of the id, run)"""
        key, raw = request.param, data.raw
        texts = {name: [self.TEXT.format(k) for k in range(len(raw.items))] for name in self.NAMES if name != key}
        items = raw.items.rename(columns={"movie_id": key}).assign(**texts)
        schema = replace(raw.schema, item_id=key, item_sparse=(key,), item_static=(key,))
        renamed = Dataset.build(replace(raw, items=items, schema=schema), data.protocol.name, data.seed)
        ranker_of(tmp_path, random_model("hit", renamed), renamed)
        return key, tmp_path

    def test_have_all_they_have_in_json(self, answered, capsys):
        key, run = answered
        answer = json.loads(script_output(capsys, "rank", run, "--user", 107, "--json", "--explain"))
        ranking = PreRanker.load(run).rank(107, k=10)
        for item, one, score, logit in zip(answer["items"], ranking.items, ranking.scores, ranking.logits, strict=True):
            assert (item["score"], item["logit"]) == (pytest.approx(score), pytest.approx(logit))
            taken = key in ("score", "logit")
            assert item[f"item_item_{key}" if key == "score" else f"item_{key}" if taken else key] == one
            texts = [value for value in item.values() if isinstance(value, str) and "red" in value]
            assert len(texts) == len([name for name in self.NAMES if name != key])
            assert all(text.startswith(self.TEXT[:-2]) for text in texts)

    def test_are_a_line_each_in_the_table(self, answered, capsys):
        _, run = answered
        lines = script_output(capsys, "rank", run, "--user", 107, "--top", 5, "--explain").splitlines()
        assert all(line.isprintable() for line in lines)
        assert [line.split()[0] for line in lines[4:9]] == ["1", "2", "3", "4", "5"]
        assert lines[9].startswith("Liked before, latest first: ")
        assert lines[10].startswith("Heat map: ")
        assert lines[11].startswith("An item's logit is the sum of its row in the heat map and the bias, ")

    def test_columns_stand_below_each_other(self, answered, capsys):
        _, run = answered
        lines = script_output(capsys, "rank", run, "--user", 107, "--top", 5).splitlines()[2:9]
        cells = [place for place in range(len(lines[1])) if lines[1][place - 1 : place + 1] == " -"]
        for line in lines[2:]:
            columns_before = [columns(line[:k]) for k in range(len(line) + 1)]
            assert all(line[columns_before.index(place) - 1] == " " for place in cells if place < columns(line))


class TestCommand:
    def test_rank_prints_names_and_what_was_liked(self, trained, capsys):
        assert script(prerank.main, "rank", trained, "--user", 3, "--top", 4) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "User: user_id 3, gender F, age 35, occupation 3"
        assert lines[1] == "Best 4 of 20 items"
        assert lines[2].split() == ["rank", "movie_id", "score", "title", "genres"]
        ranking = PreRanker.load(trained).rank(3, k=4)
        for line, item, score in zip(lines[4:8], ranking.items, ranking.scores, strict=True):
            assert line.split()[1:5] == [str(item), f"{score:.4f}", "Film", str(item // 10)]
        liked = [f"{item['movie_id']} {item['title']}" for item in liked_before(PreRanker.load(trained), 3)]
        assert len(liked) > 1
        assert lines[8:] == [f"Liked before, latest first: {', '.join(liked)}"]

    def test_of_a_long_history_the_latest_are_named(self, trained, monkeypatch, capsys):
        monkeypatch.setattr("serving.rank_table.LIKED_NAMED", 1)
        first, *rest = liked_before(PreRanker.load(trained), 3)
        last = script_output(capsys, "rank", trained, "--user", 3).splitlines()[-1]
        assert last == f"Liked before, latest first: {first['movie_id']} {first['title']} and {len(rest)} more"

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

    @pytest.mark.parametrize("features", ['"user_id": NaN, "gender": "F"', '"user_id": null, "gender": NaN'])
    def test_json_is_json_whatever_was_given(self, trained, capsys, features):
        given = f'{{{features}, "age": 25, "occupation": 3}}'
        text = script_output(capsys, "rank", trained, "--features", given, "--json")
        assert json.loads(text, parse_constant=pytest.fail)["user"] == json.loads(given.replace("NaN", "null"))

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
        bias = PreRanker.load(trained).state.model.interaction.bias.item()
        assert out.splitlines()[-1] == f"An item's logit is the sum of its row in the heat map and the bias, {bias:.4f}"

    def test_each_request_of_features_has_a_picture_of_its_own(self, trained, capsys):
        pictures = set()
        for age in (25, 35, 25):
            features = {"user_id": 999, "gender": "F", "age": age, "occupation": 3}
            answer = json.loads(
                script_output(capsys, "rank", trained, "--features", json.dumps(features), "--json", "--explain")
            )
            pictures.add(answer["explanation"]["picture"])
        assert len(pictures) == 2
        assert all(Path(picture).is_file() for picture in pictures)

    def test_a_picture_that_cannot_be_drawn_costs_nothing_else(self, trained, capsys, monkeypatch):
        right = script_output(capsys, "rank", trained, "--user", 3)
        monkeypatch.setattr("prerank.heat_map", lambda *_: draw_png((1, 1), lambda figure: 1 / 0))
        assert script(prerank.main, "rank", trained, "--user", 3, "--explain") == 0
        out, err = capsys.readouterr()
        assert out.startswith(right)
        assert err.startswith("WARNING: No picture can be drawn: ZeroDivisionError")
        assert "Heat map" not in out
        assert script(prerank.main, "rank", trained, "--user", 3, "--explain", "--json") == 0
        assert json.loads(capsys.readouterr().out)["explanation"]["picture"] is None

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

    def test_missing_candidates_are_skipped_and_named(self, trained, capsys, tmp_path):
        (tmp_path / "some").write_text("10\n999\n50\n998\n")
        ask = ["rank", trained, "--user", 3, "--candidates", tmp_path / "some"]
        assert script(prerank.main, *ask) == 2
        assert_short_error(capsys, "2 of 4 candidates are not in the index: 999, 998")
        lines = script_output(capsys, *ask, "--missing", "skip").splitlines()
        assert lines[1] == "Best 2 of 2 items"
        assert "Not in the index, and left out: 999, 998" in lines
        answer = json.loads(script_output(capsys, *ask, "--missing", "skip", "--json"))
        assert (sorted(item["movie_id"] for item in answer["items"]), answer["missing"]) == ([10, 50], [999, 998])
        (tmp_path / "some").write_text("999\n")
        assert script_output(capsys, *ask, "--missing", "skip").splitlines()[1] == "Best 0 of 0 items"
        assert script(prerank.main, *ask, "--missing", "skip", "--explain") == 2
        assert_short_error(capsys, "No item is left to explain")

    def test_items_are_left_out(self, trained, capsys, tmp_path):
        ask = ["rank", trained, "--user", 3, "--top", 99, "--json"]
        plain, seen = (json.loads(script_output(capsys, *ask, *more)) for more in ([], ["--exclude", "seen"]))
        liked = {item["movie_id"] for item in plain["liked_before"]}
        assert liked
        left = {item["movie_id"] for item in plain["items"]} - liked
        assert {item["movie_id"] for item in seen["items"]} == left
        (tmp_path / "some").write_text("10\n999\n")
        some = json.loads(script_output(capsys, *ask, "--exclude", tmp_path / "some"))
        assert len(some["items"]) == len(plain["items"]) - 1

    def test_a_build_says_what_it_undoes(self, data, tmp_path):
        ranker = ranker_of(tmp_path, random_model("dssm", data), data, "int8")
        assert replaced(tmp_path, "int8") == ""
        assert replaced(tmp_path, "float32") == "Replaces an index: int8 -> float32"
        ranker.upsert({"movie_id": 5000, "genres": ["War"]})
        ranker.delete([4997])
        said = "Replaces an index: 2 changes since its build, not carried over: apply them again"
        assert replaced(tmp_path, "int8") == said
        assert replaced(tmp_path, "float32") == f"{said}; int8 -> float32"
        build_index(tmp_path, random_model("dssm", data), data)
        assert replaced(tmp_path, "float32") == ""
        assert replaced(tmp_path / "none", "float32") == ""

    def test_a_run_whose_data_are_gone_asks_for_them(self, data, tmp_path, monkeypatch):
        """And does not take generated data in their place."""
        monkeypatch.setattr("serving.from_run.find_movielens", lambda path, quiet: None)
        save_run(tmp_path, random_model("dssm", data), Dataset.build(replace(data.raw, name="ml-1m"), "holdout", 0))
        with pytest.raises(InputError, match=r"not in .*ml-1m, and cannot be downloaded\. Say where .* --data_path"):
            load_dataset(tmp_path, None)

    def test_upsert_of_users(self, trained, capsys, tmp_path):
        new = {"user_id": 777, "gender": "F", "age": 25, "occupation": 3, "liked_movies": [10, 50]}
        said = script_output(capsys, "upsert", trained, "--users", json.dumps(new))
        assert said.startswith("1 users added or replaced, generation ")
        answer = json.loads(script_output(capsys, "rank", trained, "--user", 777, "--exclude", "seen", "--json"))
        assert [item["movie_id"] for item in answer["liked_before"]] == [50, 10]
        assert not {item["movie_id"] for item in answer["items"]} & {10, 50}
        (tmp_path / "users").write_text(json.dumps([{"user_id": 777, "liked_movies": []}]))
        assert script(prerank.main, "upsert", trained, "--users", tmp_path / "users") == 0
        assert "Liked before" not in script_output(capsys, "rank", trained, "--user", 777)

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
        path.write_bytes("\ufeff10\n".encode())
        assert prerank._ids(path, text=True) == ["10"]
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
            (["upsert", "RUN", "--users", "[1]"], "--users must hold a JSON object a user"),
            (["upsert", "RUN", "--users", '{"gender": "F"}'], "A user lacks its id 'user_id'"),
            (["upsert", "RUN", "--users", "{}", "--items", "{}"], "not allowed with"),
            (["upsert", "RUN"], "--items --users is required"),
            (["rank", "RUN", "--user", "3", "--missing", "skip"], "is for candidates, and all items are ranked"),
            (["rank", "RUN", "--user", "3", "--missing", "drop"], "--missing"),
            (["rank", "RUN", "--user", "3", "--exclude", "no/such"], "no/such cannot be read"),
            (["export", "RUN", "--format", "tflite"], "onnx"),
            (["rank", "RUN", "--user", "1_0"], "an id is a whole number here. Received: '1_0'"),
            (["rank", "RUN", "--user", "\u0663"], "an id is a whole number here"),
            (["rank", "RUN", "--user", "9" * 5000], "an id is a whole number here. Received: '9999"),
            (["rank", "RUN", "--user", "9" * 20], "Unknown user 9999"),
            (["rank", "RUN", "--user", "3", "--candidates", "."], ". cannot be read: Is a directory"),
            (["rank", "RUN", "--user", "3", "--candidates", "a\x00b"], "is no path"),
            (["rank", "RUN", "--features", "."], "cannot be read: Is a directory"),
            (["rank", "RUN", "--features", "a\x00b"], "is no path"),
            (["rank", "RUN", "--features", "x" * 5000], "cannot be read: File name too long"),
            (["rank", "RUN", "--features", "[" * 100_000], "must hold objects of features"),
            (["rank", "RUN", "--features", '{"a":' * 900 + "1" + "}" * 900], "must hold objects of features"),
            (["rank", "RUN", "--features", '{"age": 1, "age": 2}'], "'age' stands twice in one object"),
            (["build", ""], "RUN: the path is empty"),
            (["build", "RUN", "--data_path", ""], "--data_path: the path is empty"),
            (["rank", "RUN", "--features", '{"age": Infinity}'], "Infinity is no number"),
            (["rank", "RUN", "--features", '{"age": [1, -Infinity]}'], "-Infinity is no number"),
            (["rank", "RUN", "--features", ""], "cannot be read: Is a directory"),
            (
                ["rank", "RUN", "--features", "{}"],
                "features 'user_id', 'gender', 'age', 'occupation' are missing. Received: none",
            ),
            (["upsert", "RUN", "--items", "[]"], "no item to add"),
            (["upsert", "RUN", "--items", '{"movie_id": 1, "movie_id": 2}'], "'movie_id' stands twice"),
            (["upsert", "RUN", "--items", '{"movie_id": 1' + "0" * 400 + "}"], "must be a list of whole numbers"),
            (["upsert", "RUN", "--items", '{"movie_id": 1' + "0" * 5000 + "}"], "must be JSON"),
            (["upsert", "RUN", "--items", '{"movie_id": true, "genres": []}'], "must be a list of whole numbers"),
            (["delete", "RUN", "--items", os.devnull], "no item to delete"),
            (["rank", "RUN", "--user", "3", "--candidates", os.devnull], "list of candidates is empty"),
            (["rank", __file__, "--user", "3"], "holds no saved model"),
            (["build", __file__], "holds no saved model"),
            ([], "build|rank|upsert|delete|export"),
        ],
    )
    def test_bad_input(self, argv, message, trained, capsys):
        assert script(prerank.main, *(trained if one == "RUN" else one for one in argv)) == 2
        assert_short_error(capsys, message)

    def test_files_that_are_no_text(self, trained, tmp_path, capsys):
        (tmp_path / "bytes").write_bytes(b'{"movie_id": "\xff"}')
        asks = (["rank", trained, "--features"], ["upsert", trained, "--items"], ["delete", trained, "--items"])
        for ask in asks:
            assert script(prerank.main, *ask, tmp_path / "bytes") == 2
            assert_short_error(capsys, "bytes is not UTF-8 text")

    def test_a_byte_order_mark_is_no_part_of_a_file(self, trained, tmp_path, capsys):
        (tmp_path / "ids").write_bytes("\ufeff10\r\n".encode())
        (tmp_path / "features").write_bytes('\ufeff{"user_id": 9, "gender": "F", "age": 25, "occupation": 3}'.encode())
        argv = ["rank", trained, "--features", tmp_path / "features", "--candidates", tmp_path / "ids", "--json"]
        assert script(prerank.main, *argv) == 0
        assert [item["movie_id"] for item in json.loads(capsys.readouterr().out)["items"]] == [10]

    @pytest.mark.parametrize("levels", ["all", "last", "1"])
    def test_levels_of_a_model_without_any(self, levels, data, tmp_path, capsys):
        ranker_of(tmp_path, random_model("hit", data), data)
        assert script(prerank.main, "rank", tmp_path, "--user", "107", "--levels", levels) == 2
        assert_short_error(capsys, "Only IntTower has levels to choose from")

    @pytest.mark.parametrize("path", ["no/such", "."])
    def test_synthetic_data_is_not_read_from_a_path(self, path, tmp_path, capsys, monkeypatch):
        raw = synthetic_movielens(users=20, movies=15, interactions=250)
        monkeypatch.setattr("serving.from_run.synthetic_movielens", lambda: raw)
        data = Dataset.build(raw, "holdout", 0)
        save_run(tmp_path, random_model("dssm", data), data)
        assert script(prerank.main, "build", tmp_path, "--data_path", path) == 2
        assert_short_error(capsys, f"Leave --data_path out. Received: --data_path {path}")
        assert not (tmp_path / "index").exists()
        for given in (["--data_path", "synthetic"], []):
            assert script(prerank.main, "build", tmp_path, *given) == 0

    def test_build_finds_the_data_of_the_run_again(self, folder, tmp_path, capsys, monkeypatch):
        data = Path(shutil.copytree(folder, tmp_path / "data"))
        monkeypatch.chdir(tmp_path)
        argv = ["--model_name", "dssm", "--data_path", "data", "--epoch", 1, "--device", "cpu", "--quiet"]
        assert script(train_movielens_whole_models.main, *argv, "--protocol", "holdout", "--out", "run") == 0
        monkeypatch.chdir("/")
        assert script(prerank.main, "build", tmp_path / "run") == 0
        data.rename(tmp_path / "moved")
        capsys.readouterr()
        assert script(prerank.main, "build", tmp_path / "run") == 2
        assert_short_error(capsys, f"are not in {data} any more. Say where they are with --data_path.")
        assert script(prerank.main, "build", tmp_path / "run", "--data_path", tmp_path / "moved") == 0

    def test_build_finds_the_rows_of_a_second_training_again(self, folder, tmp_path):
        argv = ["--model_name", "dssm", "--data_path", folder, "--epoch", 1, "--device", "cpu", "--quiet"]
        argv += ["--protocol", "temporal", "--out", tmp_path]
        assert script(train_movielens_whole_models.main, *argv) == 0
        rows = read_result(tmp_path)["rows"]
        data = load_dataset(tmp_path, None)
        assert {name: len(rows) for name, rows in data.protocol.splits.items()} == rows
        assert rows.keys() == {"train", "test"}
        assert script(prerank.main, "build", tmp_path) == 0

    def test_build_of_a_model_that_was_saved_in_python(self, data, tmp_path, capsys):
        model = random_model("dssm", data)
        model.save(tmp_path)
        assert script(prerank.main, "build", tmp_path) == 2
        assert_short_error(capsys, f"{tmp_path} was saved by model.save, without its data. Build an index of data from")

    def test_build_of_a_run_on_data_without_a_reader(self, data, tmp_path, capsys):
        save_run(tmp_path, random_model("dssm", data), data)
        assert script(prerank.main, "build", tmp_path) == 2
        assert "in Python: docs/frames.md" in capsys.readouterr().err

    def test_user_of_a_model_that_reads_features_of_the_request(self, tmp_path, capsys):
        data = frames_data()
        ranker_of(tmp_path, random_model("dssm", data), data)
        assert script(prerank.main, "rank", tmp_path, "--user", "u3") == 2
        error = capsys.readouterr().err
        assert "The model reads device, hour of a request." in error
        option, request = shlex.split(error)[-2:]
        assert option == "--features"
        assert json.loads(request) == {"u": "u3", "device": "...", "hour": "..."}
        given = {**json.loads(request), "device": "tv", "hour": 3.5}
        assert script(prerank.main, "rank", tmp_path, "--features", json.dumps(given)) == 0

    def test_build_from_other_data_is_refused(self, trained, folder, tmp_path, capsys):
        for name in ("users.dat", "movies.dat", "ratings.dat"):
            (tmp_path / name).write_bytes((folder / name).read_bytes())
        lines = (tmp_path / "ratings.dat").read_text().splitlines()
        (tmp_path / "ratings.dat").write_text("\n".join(lines[1:]) + "\n")
        before = (trained / "index" / "manifest.json").read_bytes()
        assert script(prerank.main, "build", trained, "--data_path", tmp_path) == 2
        assert "Give the same data with --data_path" in capsys.readouterr().err
        assert (trained / "index" / "manifest.json").read_bytes() == before
