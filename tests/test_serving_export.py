"""ONNX programs: they give what `predict` gives, or are not written."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
from helpers import plain_arrays
from serving_helpers import dataset, random_model, save_run

from preprocessing.errors import InputError
from serving.export import export_onnx
from serving.manifest import model_checksum


@pytest.fixture(scope="module")
def data():
    return dataset()


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
