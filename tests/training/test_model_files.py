"""Saved models and checkpoints: what is read back, and what is refused."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from helpers import assert_same_weights, random_raw, small_model
from sealed_helpers import change_sealed

from foundation.atomic import write_atomic
from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import columns_from_json, columns_to_json
from model import load_model
from model.dssm import DSSM
from model.IntTower import IntTower
from preprocessing.dataset import Dataset
from preprocessing.encoding import MinMaxScaler, Vocabulary
from training.model_files import CONFIG, WEIGHTS


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


@pytest.fixture
def folder(dataset, tmp_path):
    small_model("int_tower", dataset).save(tmp_path)
    return tmp_path


class TestDamagedConfigIsRefused:
    @pytest.mark.parametrize("content", [b"", b"{", b"not json", b"\xff\xfe\x00", b"[]", b"3", b"null", b'"IntTower"'])
    def test_no_json_object(self, folder, content):
        (folder / CONFIG).write_bytes(content)
        for load in (load_model, IntTower.load):
            with pytest.raises(InputError, match=r"config\.json"):
                load(folder)

    @pytest.mark.parametrize(
        "entries",
        [
            {"arguments": None},
            {"arguments": 3},
            {"arguments": {}},
            {"arguments": {"field_dim": 4}},
        ],
        ids=str,
    )
    def test_without_what_the_model_needs(self, folder, entries):
        change_sealed(folder / CONFIG, **entries)
        with pytest.raises(InputError, match=r"config\.json does not describe a IntTower"):
            load_model(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"heads": 3},
            {"dnn_hidden_units": 3},
            {"dnn_hidden_units": ["a"]},
            {"user_dnn_feature_columns": None},
            {"user_dnn_feature_columns": {"feature_columns": [{"name": "user_id"}]}},
            {"user_dnn_feature_columns": {"feature_columns": [{"kind": "other", "name": "user_id"}]}},
            {"user_dnn_feature_columns": {"feature_columns": [{"kind": "sparse", "title": "user_id"}]}},
        ],
        ids=str,
    )
    def test_with_arguments_that_no_model_takes(self, folder, change):
        arguments = json.loads((folder / CONFIG).read_text())["arguments"]
        change_sealed(folder / CONFIG, arguments=arguments | change)
        with pytest.raises(InputError):
            load_model(folder)

    def test_missing(self, tmp_path):
        for place in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(InputError, match=r"holds no saved model: config\.json is missing"):
                load_model(place)

    def test_of_a_class_that_nobody_knows(self, folder):
        change_sealed(folder / CONFIG, **{"class": "Elsewhere"})
        with pytest.raises(InputError, match="Elsewhere, which is not in the table of models"):
            load_model(folder)

    def test_without_a_class(self, folder):
        change_sealed(folder / CONFIG, **{"class": None})
        with pytest.raises(InputError):
            load_model(folder)

    def test_of_another_class(self, folder):
        with pytest.raises(InputError, match="holds a IntTower, not a DSSM"):
            DSSM.load(folder)


class TestDamagedWeightsAreRefused:
    @pytest.mark.parametrize("damage", ["missing", "empty", "cut", "garbage", "folder"])
    def test_file(self, folder, damage):
        path = folder / WEIGHTS
        content = path.read_bytes()
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage != "missing":
            path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00" * 999}[damage])
        with pytest.raises(InputError, match=r"The weights in .*model\.safetensors cannot be used"):
            load_model(folder)

    def test_of_another_model(self, dataset, folder, tmp_path_factory):
        other = tmp_path_factory.mktemp("other")
        small_model("dssm", dataset).save(other)
        (folder / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
        with pytest.raises(InputError, match="cannot be used"):
            load_model(folder)

    def test_of_other_sizes(self, dataset, folder, tmp_path_factory):
        other = tmp_path_factory.mktemp("other")
        small_model("int_tower", dataset, field_dim=5).save(other)
        (folder / WEIGHTS).write_bytes((other / WEIGHTS).read_bytes())
        with pytest.raises(InputError, match="cannot be used"):
            load_model(folder)


class TestConfigIsEnough:
    def test_to_encode_raw_values_again(self, dataset, tmp_path):
        small_model("lr", dataset).save(tmp_path, dataset.encoding_json())
        config = json.loads((tmp_path / CONFIG).read_text())
        for name, values in config["vocabularies"].items():
            again, original = Vocabulary(values), dataset.vocabularies[name]
            every = np.array([*values, "nowhere"], dtype=object)
            assert again.encode(every).tolist() == original.encode(every).tolist()
        for name, bounds in config["scalers"].items():
            values = np.array([-1.0, 0.5, 2000.0])
            expected = dataset.scalers[name].transform(name, values)
            assert MinMaxScaler(**bounds).transform(name, values).tolist() == expected.tolist()

    def test_columns_of_every_kind_come_back(self):
        columns = [
            SparseFeat("user", 9, 4),
            SparseFeat("city", 5, 4, embedding_name="place", group_name="where"),
            DenseFeat("vector", 3),
            VarLenSparseFeat(SparseFeat("visited", 5, 4, embedding_name="place"), 7, "max", "visited_length"),
        ]
        again = columns_from_json(json.loads(json.dumps(columns_to_json(columns))))
        assert again == columns
        assert [type(column) for column in again] == [type(column) for column in columns]

    def test_tuples_come_back_as_tuples(self, dataset, tmp_path):
        model = small_model("int_tower", dataset, dnn_hidden_units=(6, 5))
        model.save(tmp_path)
        assert load_model(tmp_path).arguments["dnn_hidden_units"] == (6, 5)

    def test_subclass_of_ones_own(self, dataset, tmp_path):
        class Mine(DSSM):
            pass

        columns = dataset.feature_columns(4)
        model = Mine(columns.user, columns.item, dnn_hidden_units=(6,))
        model.save(tmp_path)
        assert_same_weights(Mine.load(tmp_path), model)
        with pytest.raises(InputError, match=r"Use Mine\.load"):
            load_model(tmp_path)


class TestWritingIsWholeOrNot:
    def test_failure_keeps_the_old_content(self, tmp_path, monkeypatch):
        path = tmp_path / "file"
        write_atomic(path, "old")

        def full_disk(_):
            raise OSError("no space left")

        monkeypatch.setattr(os, "fsync", full_disk)
        with pytest.raises(OSError, match="no space left"):
            write_atomic(path, "new, and longer")
        assert path.read_text() == "old"
        assert [entry.name for entry in tmp_path.iterdir()] == ["file"]

    def test_leaves_no_other_file(self, tmp_path):
        write_atomic(tmp_path / "text", "a")
        write_atomic(tmp_path / "bytes", b"b")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bytes", "text"]
