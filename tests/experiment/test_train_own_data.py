"""`train_own_data.py`: data of one's own train, stop, go on and are read again as the published data sets are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from script_helpers import assert_short_error, script, write_movielens
from shop import SMALL, SPEC, TRAINING, write_shop

import prerank
import train_movielens_whole_models
import train_own_data
from experiment.options import parse_options
from foundation.errors import InputError
from model import MODELS, default_settings, load_model
from preprocessing.dataset import Dataset
from preprocessing.movielens import read
from preprocessing.own_data import load_own
from serving.from_run import load_dataset
from serving.ranker import PreRanker
from serving.writer import build_index
from training.result import closing_table
from training.result_file import read_result
from training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("quick_picture")
ROOT = Path(__file__).resolve().parents[2]
ORIGIN = "chosen on MovieLens-1M; nothing was tuned on these data"


def train(folder: Path, out: Path, *more, name: str = "dssm") -> int:
    sizes = SMALL if name != "lr" else ()
    return script(train_own_data.main, folder, "--model_name", name, *TRAINING, *sizes, "--out", out, *more)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Path:
    return write_shop(tmp_path_factory.mktemp("own") / "shop")


@pytest.fixture(scope="module")
def finished(shop, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
        assert train(shop, out, "--protocol", "temporal", "--quiet") == 0
    return out


def measured(out: Path) -> dict:
    """All that two runs share if they are equal to the bit."""
    result = read_result(out)
    apart = ("seconds", "train_rows_per_second", "run", "files", "sha256")
    weights = {name: value.tolist() for name, value in load_model(out).state_dict().items()}
    return {"result": {name: value for name, value in result.items() if name not in apart}, "weights": weights}


class TestDefaults:
    @pytest.mark.parametrize("name", MODELS)
    def test_are_those_of_movielens(self, name):
        assert default_settings(name, "own") == default_settings(name, "movielens")
        own, known = (parse_options(each, name, ["--protocol", "holdout"]) for each in ("own", "movielens"))
        assert own.model_arguments == known.model_arguments
        assert own.fit_arguments == known.fit_arguments
        assert own.columns == known.columns  # with the history for HIT

    def test_protocol_is_an_honest_one(self):
        assert parse_options("own", "dssm", []).protocol == "holdout"
        assert parse_options("movielens", "dssm", []).protocol == "published"

    def test_help_names_the_protocols_that_are_taken(self, capsys):
        with pytest.raises(SystemExit):
            parse_options("own", "dssm", ["--help"])
        told = capsys.readouterr().out
        assert "--protocol {holdout,temporal}" in told
        assert "published" not in told.partition("--protocol")[2].partition("--refit")[0]

    def test_a_release_is_that_of_movielens(self):
        argv = ["--as_released", "--protocol", "holdout"]
        own, known = (parse_options(each, "hit", argv) for each in ("own", "movielens"))
        assert (own.model_arguments, own.fit_arguments) == (known.model_arguments, known.fit_arguments)

    def test_whoever_reads_them_is_told_where_they_come_from(self, shop, tmp_path, capsys):
        assert train(shop, tmp_path) == 0
        assert f"defaults: {ORIGIN}" in capsys.readouterr().out
        assert read_result(tmp_path)["defaults"] == ORIGIN
        assert f"Defaults: {ORIGIN}." in (tmp_path / "README.md").read_text(encoding="utf-8")


class TestRun:
    def test_is_of_the_data(self, finished, shop):
        result, raw = read_result(finished), load_own(shop)
        assert (result["dataset"], result["data_sha256"]) == ("shop", raw.fingerprint)
        assert (result["protocol"], result["paper"]) == ("temporal", None)

    def test_data_are_read_again_from_the_run(self, finished):
        data = load_dataset(finished, None)
        result = read_result(finished)
        assert load_model(finished).evaluate(data.test) == pytest.approx(result["test"], abs=1e-6)

    def test_its_default_folder_says_data_model_and_protocol(self, shop, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        argv = [shop, "--model_name", "dssm", *TRAINING, *SMALL, "--quiet"]
        assert script(train_own_data.main, *argv) == 0
        (place,) = tmp_path.glob("runs/shop/dssm/*")
        assert place.name.startswith("holdout-seed1023-")

    def test_moved_data_are_named_and_found_where_it_is_said(self, shop, tmp_path, capsys):
        folder, out = tmp_path / "here", tmp_path / "run"
        shutil.copytree(shop, folder)
        assert train(folder, out, "--quiet") == 0
        folder.rename(tmp_path / "there")
        with pytest.raises(InputError, match=r"not in .*here any more. Say where they are with --data_path"):
            load_dataset(out, None)
        assert load_dataset(out, str(tmp_path / "there")).raw.fingerprint == read_result(out)["data_sha256"]

    def test_tables_may_lie_elsewhere(self, shop, tmp_path, capsys):
        (tmp_path / "spec").mkdir()
        shutil.copy(shop / "dataset.toml", tmp_path / "spec")
        assert train(tmp_path / "spec", tmp_path / "run", "--quiet", "--data_path", shop) == 0
        assert load_dataset(tmp_path / "run", None).raw.fingerprint == load_own(shop).fingerprint

    def test_data_of_one_name_are_told_apart_by_their_folders(self, finished, shop, tmp_path, capsys):
        shutil.copytree(shop, tmp_path / "other")
        spec = (tmp_path / "other" / "dataset.toml").read_text(encoding="utf-8")
        (tmp_path / "other" / "dataset.toml").write_text(f"{spec}[sides]\n", encoding="utf-8")
        assert train(tmp_path / "other", finished, "--quiet") == 2
        told = capsys.readouterr().err
        assert f"Its data were read from {shop}; give one of two data sets another name" in told

    def test_papers_have_no_column_beside_it(self, finished):
        assert "paper" not in closing_table(read_result(finished), "DSSM")

    def test_changed_data_are_not_taken_for_the_same(self, finished, shop, tmp_path):
        folder = tmp_path / "shop"
        shutil.copytree(shop, folder)
        spec = (folder / "dataset.toml").read_text(encoding="utf-8")
        (folder / "dataset.toml").write_text(spec.replace("stock =", "price ="), encoding="utf-8")
        with pytest.raises(InputError, match="was trained on 'shop'"):
            load_dataset(finished, str(folder))


class TestIndex:
    def test_columns_for_display_are_the_names_in_a_ranking(self, finished, tmp_path):
        run = tmp_path / "run"
        shutil.copytree(finished, run)
        build_index(run, load_model(run), load_dataset(run, None))
        best = PreRanker.load(run).rank("c7", k=3)
        titles = {100 + n: f"Article {n}" for n in range(30)}
        assert best.titles == [titles[item] for item in best.items.tolist()]
        assert "stock" not in best.texts

    def test_scores_that_are_no_probabilities_are_not_shown_as_such(self, tmp_path, capsys):
        spec = SPEC.replace('label = "clicked"\n', "").replace("[kinds]\n", '[kinds]\nclicked = "ignore"\n')
        folder = write_shop(tmp_path / "shop", spec=f'{spec}\n[negatives]\ntrain = "in_batch"\n')
        assert train(folder, tmp_path / "run", "--quiet", "--loss", "in_batch") == 0
        assert script(prerank.main, "build", tmp_path / "run") == 0
        capsys.readouterr()
        assert script(prerank.main, "rank", tmp_path / "run", "--user", "c7", "--top", "3") == 0
        told = capsys.readouterr().out
        assert "logit" in told
        assert "score" not in told
        assert "no click probabilities" in told


class TestInterrupted:
    class Killed(BaseException):
        pass

    @pytest.mark.parametrize("at_save", [0, 2, 3])
    def test_resumed_equals_uninterrupted(self, at_save, finished, shop, tmp_path, monkeypatch):
        saved, original = [], RunFolder.save_state

        def save(folder, state):
            original(folder, state)
            saved.append(state)
            if len(saved) > at_save:
                raise self.Killed

        argv = (shop, tmp_path / "run", "--protocol", "temporal", "--quiet")
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "save_state", save)
            with pytest.raises(self.Killed):
                train(*argv)
        assert train(*argv, "--resume") == 0
        assert measured(tmp_path / "run") == measured(finished)


def test_two_processes_train_as_one_run(shop, tmp_path):
    argv = [shop, "--model_name", "dssm", *TRAINING, *SMALL, "--out", tmp_path / "run"]
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "train_own_data.py"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*words, *map(str, argv)], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Run folder: ") == 1
    assert json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))["dataset"] == "shop"


MOVIELENS = """
name = "movies"
[log]
files = "ratings.dat"
separator = "::"
columns = ["user_id", "movie_id", "rating", "timestamp"]
user = "user_id"
item = "movie_id"
time = "timestamp"
label = "rating"
above = 3
drop = [3]
[users]
files = "users.dat"
separator = "::"
columns = ["user_id", "gender", "age", "occupation", "zipcode"]
id = "user_id"
encoding = "latin-1"
[items]
files = "movies.dat"
separator = "::"
columns = ["movie_id", "title", "genres"]
id = "movie_id"
encoding = "latin-1"
[kinds]
zipcode = "ignore"
title = "display"
[separators]
genres = "|"
"""
SAME = {"user_mean_label": "user_mean_rating", "item_mean_label": "item_mean_rating", "liked_movie_id": "liked_movies"}


class TestMovieLensThroughADatasetToml:
    """Names of computed features, and the features of HIT's generators, are what differs from the MovieLens reader."""

    @pytest.fixture(scope="class")
    @classmethod
    def folder(cls, tmp_path_factory) -> Path:
        place = write_movielens(tmp_path_factory.mktemp("movies"))
        (place / "dataset.toml").write_text(MOVIELENS, encoding="utf-8")
        return place

    def test_rows_and_raw_features_are_the_same(self, folder):
        own, known = load_own(folder), read(folder)
        for name in ("user", "item", "label", "timestamp"):
            assert np.array_equal(getattr(own, name), getattr(known, name))
        for name in ("user_id", "gender", "age", "occupation"):
            assert own.users[name].tolist() == known.users[name].tolist()
        assert own.items[["movie_id", "title"]].values.tolist() == known.items[["movie_id", "title"]].values.tolist()
        assert np.array_equal(own.item_lists["genres"].values, known.item_lists["genres"].values)
        assert np.array_equal(own.item_lists["genres"].offsets, known.item_lists["genres"].offsets)
        assert own.schema.user_sparse == known.schema.user_sparse
        assert own.schema.item_sparse == known.schema.item_sparse

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_every_encoded_feature_is_the_same(self, folder, protocol):
        own, known = (Dataset.build(raw, protocol, 7) for raw in (load_own(folder), read(folder)))
        rows, names = torch.arange(len(own.raw)), [column.name for column in own.feature_columns(history=True).all]
        ours, theirs = own.batch(rows, names), known.batch(rows, [SAME.get(name, name) for name in names])
        for name in names:
            one, other = ours[name], theirs[SAME.get(name, name)]
            if not isinstance(one, torch.Tensor):
                assert torch.equal(one.offsets, other.offsets)
                one, other = one.values, other.values
            assert torch.equal(one, other)

    @pytest.mark.parametrize("name", ["dssm", "int_tower"])
    def test_trained_weights_are_the_same_to_the_bit(self, folder, name, tmp_path):
        argv = ["--model_name", name, "--protocol", "holdout", "--epoch", 2, "--batch_size", 64, "--device", "cpu"]
        argv += ["--quiet", "--set", "dnn_hidden_units=[8,6]"]
        own, known = tmp_path / "own", tmp_path / "known"
        assert script(train_own_data.main, folder, *argv, "--no_cache", "--out", own) == 0
        assert script(train_movielens_whole_models.main, *argv, "--data_path", folder, "--out", known) == 0
        ours, theirs = (load_model(place).state_dict() for place in (own, known))
        assert list(ours) == list(theirs)
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
        assert read_result(own)["test"] == read_result(known)["test"]


class TestBadInput:
    """One line, status 2, and nothing written."""

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            (["--model_name", "dssm"], "Give the folder of your data first"),
            (["nowhere", "--model_name", "dssm"], "nowhere is no folder"),
            (["empty", "--model_name", "dssm"], "`python train_own_data.py --describe empty` writes a first one"),
            (["shop", "--model_name", "dssm", "--protocol", "published"], "give holdout or temporal"),
            (["shop", "--model_name", "dssn"], "Unknown model 'dssn'"),
            (["shop"], "--model_name"),
            (["shop", "--model_name", "dssm", "--data_path", "nowhere"], "nowhere is no folder"),
            (["shop", "--model_name", "dssm", "--sample_rate", "0.5"], "--sample_rate"),
            (["shop", "again", "--model_name", "dssm"], "again"),
            (["untimed", "--model_name", "dssm", "--protocol", "temporal"], "needs times"),
            (["published", "--model_name", "dssm"], "'ml-1m' is that of a published data set"),
            (["up", "--model_name", "dssm"], "cannot be '../up'"),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_is_told(self, argv, message, tmp_path, monkeypatch, capsys):
        write_shop(tmp_path / "shop")
        write_shop(tmp_path / "untimed", spec=SPEC.replace('time = "when"\n', ""))
        write_shop(tmp_path / "published", spec=SPEC.replace('"shop"', '"ml-1m"'))
        write_shop(tmp_path / "up", spec=SPEC.replace('"shop"', '"../up"'))
        (tmp_path / "empty").mkdir()
        monkeypatch.chdir(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        assert script(train_own_data.main, *argv, *(["--no_cache"] if "--model_name" in argv else [])) == 2
        assert_short_error(capsys, message)
        assert sorted(tmp_path.rglob("*")) == before
