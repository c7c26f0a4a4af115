"""Amazon and Taobao at a reduced size, generated: every model trains on them, and IntTower finds what was planted."""

from __future__ import annotations

import json
import math

import pytest
from script_helpers import assert_short_error, script
from zoo import NAMES, fitted

import train_amazon_whole_models
import train_movielens_whole_models
import train_taobao_whole_models
from benchmarks.make_amazon import make_amazon
from benchmarks.make_taobao import make_taobao
from experiment.options import parse_options
from foundation.errors import InputError
from model import build_model, load_model
from preprocessing import amazon, load, taobao
from preprocessing.cache import DEFAULT_CACHE
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS
from preprocessing.raw import RawData

SCRIPTS = {
    "movielens": train_movielens_whole_models.main,
    "amazon": train_amazon_whole_models.main,
    "taobao": train_taobao_whole_models.main,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict:
    """Raw files of both data sets, tiny."""
    place = tmp_path_factory.mktemp("generated")
    return {
        "amazon": make_amazon(place / "amazon", reviews=1500, users=60, items=40, meta=90, negative_rate=0.4),
        "taobao": make_taobao(place / "taobao", rows=1500, profiles=60, ads=40, click_rate=0.3, compress=True),
    }


@pytest.fixture(scope="module")
def tiny(folders) -> dict[str, Dataset]:
    raws = {"amazon": amazon.read(folders["amazon"]), "taobao": taobao.read(folders["taobao"])}
    return {name: Dataset.build(raw, "temporal", 0) for name, raw in raws.items()}


class TestEveryModel:
    @pytest.mark.parametrize("dataset", ["amazon", "taobao"])
    @pytest.mark.parametrize("name", NAMES)
    def test_trains_and_scores(self, tiny, dataset, name):
        data = tiny[dataset]
        model = fitted(name, data, epochs=1)
        scores = model.evaluate(data.test)
        assert all(math.isfinite(scores[metric]) for metric in ("auc", "logloss", "gauc"))
        assert set(model.feature_names) == {column.name for column in data.feature_columns().all}


@pytest.fixture(scope="module")
def raws(tmp_path_factory) -> dict[str, RawData]:
    """Enough impressions of few users and items to learn what was planted."""
    place = tmp_path_factory.mktemp("planted")
    reviews = make_amazon(place / "amazon", reviews=40_000, users=300, items=200, meta=300, negative_rate=0.4)
    clicks = make_taobao(place / "taobao", rows=40_000, profiles=400, ads=250, click_rate=0.3)
    return {"amazon": amazon.read(reviews), "taobao": taobao.read(clicks)}


class TestPlantedSignal:
    """How much of the way from 0.5 to the best possible test AUC a model goes."""

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("dataset", ["amazon", "taobao"])
    def test_int_tower_goes_at_least_90_percent_of_the_way(self, raws, dataset, protocol):
        data = Dataset.build(raws[dataset], protocol, seed=0)
        small = {"dnn_hidden_units": (64, 32), "user_head": 2, "item_head": 2, "field_dim": 16, "init_std": 0.01}
        model = build_model("int_tower", data.feature_columns(16), seed=0, cir_weight=0.05, **small)
        model.compile("adam", lr=3e-3)
        model.fit(data.train, validation_data=data.validation, batch_size=512, epochs=4, verbose=0)
        best = data.best_possible_auc("test")
        assert best > 0.75
        assert (model.evaluate(data.test)["auc"] - 0.5) / (best - 0.5) >= 0.9

    @pytest.mark.parametrize(("dataset", "rate"), [("amazon", 0.6), ("taobao", 0.3)])
    def test_labels_follow_the_planted_probability(self, raws, dataset, rate):
        raw = raws[dataset]
        assert raw.label.mean() == pytest.approx(rate, abs=0.03)
        high = raw.best_score > sorted(raw.best_score)[len(raw) // 2]
        for rows in (high, ~high):
            assert raw.label[rows].mean() == pytest.approx(raw.best_score[rows].mean(), abs=0.02)


TINY = ("--epoch", 1, "--batch_size", 64, "--device", "cpu")


class TestScripts:
    @pytest.mark.parametrize("name", ["amazon", "taobao"])
    def test_from_raw_files_to_a_loaded_model(self, name, folders, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        argv = ("--model_name", "dssm", "--data_path", folders[name], "--protocol", "holdout", *TINY, "--out")
        assert script(SCRIPTS[name], *argv, "first") == 0
        assert script(SCRIPTS[name], *argv, "second", "--quiet") == 0  # from the cache
        results = [json.loads((tmp_path / out / "result.json").read_text()) for out in ("first", "second")]
        assert results[0]["test"] == results[1]["test"]
        assert results[0]["dataset"] == f"generated-{name}"
        assert results[0]["paper"] is None
        assert load_model(tmp_path / "first").feature_names
        assert len(list((tmp_path / DEFAULT_CACHE).iterdir())) == 1
        out = capsys.readouterr().out
        assert "1,500 rows read, 1,500 kept" in out
        assert "best possible AUC" in out

    def test_no_cache(self, folders, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        argv = ("--model_name", "lr", "--data_path", folders["taobao"], *TINY, "--out", "run", "--no_cache")
        assert script(SCRIPTS["taobao"], *argv) == 0
        assert [file.name for file in tmp_path.iterdir()] == ["run"]

    def test_taobao_options_decide_the_result_and_are_written_down(self, folders, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        own = ("--sample_rate", 0.5, "--pid_placement", "request", "--cache_dir", "here")
        argv = ("--model_name", "int_tower", "--data_path", folders["taobao"], *TINY, "--out", "run", *own)
        assert script(SCRIPTS["taobao"], *argv) == 0
        result = json.loads((tmp_path / "run" / "result.json").read_text())
        assert result["dataset"] == "generated-taobao-sample0.5"
        assert (result["config"]["sample_rate"], result["config"]["pid_placement"]) == (0.5, "request")
        columns = load_model(tmp_path / "run").user_columns
        assert "pid" in [column.name for column in columns]
        assert (tmp_path / "here").is_dir()

    def test_published_protocol_without_label_features_says_how_it_leaks(self, folders, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        argv = ("--model_name", "lr", "--data_path", folders["taobao"], *TINY, "--out", "run", "--no_cache")
        assert script(SCRIPTS["taobao"], *argv) == 0
        out = capsys.readouterr().out
        assert "leaks test labels: users are dropped for having no positive" in out
        assert "mean label" not in out

    @pytest.mark.parametrize(
        ("name", "argv", "message"),
        [
            ("movielens", ["--sample_rate", 0.5], "--sample_rate"),
            ("amazon", ["--sample_rate", 0.5], "--sample_rate"),
            ("amazon", ["--pid_placement", "item"], "--pid_placement"),
            ("movielens", ["--no_cache"], "--no_cache"),
            ("taobao", ["--sample_rate", 0], "0 is out of range, it must be above 0"),
            ("taobao", ["--sample_rate", 1.5], "at most 1"),
            ("taobao", ["--pid_placement", "page"], "request"),
            ("taobao", ["--no_cache", "--cache_dir", "x"], "not allowed with"),
            ("taobao", ["--data_path", "no/such/place"], "no/such/place does not exist"),
            ("amazon", ["--data_path", "no/such/place"], "No such file or folder: no/such/place"),
        ],
    )
    def test_bad_input(self, name, argv, message, monkeypatch, capsys, tmp_path):
        monkeypatch.chdir(tmp_path)
        assert script(SCRIPTS[name], "--model_name", "lr", *argv) == 2
        assert_short_error(capsys, message)
        assert list(tmp_path.iterdir()) == []

    def test_published_defaults(self):
        options = parse_options("taobao", "int_tower", [])
        assert (options.lr, options.batch_size, options.epochs, options.dropout) == (1e-4, 2048, 15, 0.5)
        assert {key: options.model_arguments[key] for key in ("field_dim", "user_head", "item_head")} == {
            "field_dim": 16,
            "user_head": 4,
            "item_head": 4,
        }
        assert options.sample_rate == 1.0
        hit = parse_options("taobao", "hit", [])
        assert (hit.lr, hit.batch_size, hit.dropout, hit.patience) == (1e-2, 256, 0.2, 2)
        options = parse_options("amazon", "int_tower", [])
        assert (options.model_arguments["field_dim"], options.model_arguments["user_head"]) == (64, 32)
        assert parse_options("amazon", "hit", []).batch_size == 128


class TestFinding:
    def test_taobao_that_is_nowhere_says_where_to_get_it(self, tmp_path):
        with pytest.raises(InputError, match=r"Tianchi account:\nget raw_sample.csv.*dataId=56.*make_taobao"):
            load.load_taobao(data_dir=tmp_path)

    @pytest.mark.parametrize("inside", [True, False])
    def test_taobao_in_the_data_folder(self, inside, folders, tmp_path):
        place = tmp_path / load.TAOBAO_FOLDER if inside else tmp_path
        place.mkdir(exist_ok=True)
        for file in folders["taobao"].iterdir():
            (place / file.name).write_bytes(file.read_bytes())
        assert len(load.load_taobao(data_dir=tmp_path)) == 1500

    def test_incomplete_folder_is_an_error_and_no_download(self, folders, tmp_path):
        (tmp_path / load.AMAZON_FOLDER).mkdir()
        (tmp_path / load.AMAZON_FOLDER / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"lacks reviews_Electronics_5\.json\.gz"):
            load.load_amazon(data_dir=tmp_path)
