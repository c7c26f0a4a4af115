"""ONNX exports: another program gets the scores of `PreRanker` from them, or nothing is written."""

from __future__ import annotations

import errno
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import torch
from helpers import plain_arrays
from onnx_helpers import (
    AWKWARD,
    OTHERS,
    frames_dataset,
    indexed_run,
    page_blocks,
    page_dataset,
    run_page,
    scores_by_page,
)
from script_helpers import script
from serving_helpers import dataset, random_model, save_run

import prerank
import serving.export
from foundation.errors import InputError
from foundation.run_files import read_config
from foundation.sealed import seal
from model.interaction import InnerProduct
from model.scorer import Scorer
from preprocessing import utils
from preprocessing.dataset import Dataset
from serving.export import export_onnx
from serving.export_files import replaced_together
from serving.onnx_programs import Score, input_names, score_program
from serving.ranker import PreRanker
from serving.writer import build_index
from training.model_files import model_checksum

FILES = {"encoding.json", "item_tower.onnx", "items.parquet", "scorer.onnx", "user_tower.onnx", "users.parquet"}


class TestAnotherProgram:
    @pytest.mark.parametrize(
        ("model", "names"),
        [("dat", AWKWARD), ("mvke", OTHERS), ("poly_encoder", AWKWARD), ("int_tower", OTHERS), ("hit", AWKWARD)],
    )
    def test_gets_the_scores_from_the_files_alone(self, model, names, tmp_path):
        data = frames_dataset(names)
        requests = self.requests(names, data.schema)
        item = {names["article"]: 7, names["brand"]: None, names["price"]: 7.5, names["tags"]: [7, 99, 0]}
        self.check_scores(tmp_path, model, data, requests, item, page_blocks()[:-1])

    def test_runs_the_page_as_it_stands(self, tmp_path):
        data = page_dataset()
        request = {"customer": None, "country": "ZZ", "age": None, "device": "phone"}
        requests = [{"customer": "c42", "device": "phone"}, request, request | {"liked_article": [1000, 3, 1001]}]
        item = {"article": 7, "brand": "new", "price": 1e6, "tags": []}
        self.check_scores(tmp_path, "dssm", data, requests, item, page_blocks())
        self.check_that_a_mix_is_noticed(tmp_path / "elsewhere")

    def check_that_a_mix_is_noticed(self, folder: Path) -> None:
        """A byte of the document, and a whole file of another model that is in order by itself."""
        exported = folder / "my-run" / "onnx"
        rules = (exported / "encoding.json").read_bytes()
        (exported / "encoding.json").write_bytes(rules.replace(b'"DE"', b'"DK"'))
        assert "encoding.json was altered" in run_page(folder, page_blocks()).stderr
        (exported / "encoding.json").write_bytes(rules)
        (exported / "user_tower.onnx").write_bytes((exported / "item_tower.onnx").read_bytes())
        assert "user_tower.onnx is of another export" in run_page(folder, page_blocks()).stderr

    def check_scores(self, folder: Path, model: str, data: Dataset, requests, item, blocks) -> None:
        run = folder / "my-run"
        indexed_run(run, model, data)
        exported = export_onnx(run)
        assert exported.left_out is None
        assert {path.name for path in (run / "onnx").iterdir()} == FILES == {path.name for path in exported.files}
        self.check_names_and_dimensions(run, data)
        shutil.copytree(run / "onnx", folder / "elsewhere" / "my-run" / "onnx")
        answers, of_new_item = scores_by_page(folder / "elsewhere", requests, item, blocks)
        ranker, ids = PreRanker.load(run), data.raw.items[data.schema.item_id].tolist()
        for raw, answer in zip(requests, answers, strict=True):
            assert [answer[one] for one in ids] == pytest.approx(ranker.score(raw, ids), abs=1e-5)
            assert len(answer) == len(ids)
        ranker.upsert([item])
        assert of_new_item == pytest.approx([ranker.score(raw, [7])[0] for raw in requests], abs=1e-5)

    def requests(self, names, schema) -> list[dict]:
        impression = {names["device"]: "phone", names["hour"]: 30.5}
        nothing = {names[one]: None for one in ("customer", "country", "member", "level", "age")}
        new = nothing | impression | {names["same"]: 4.0, names["hobbies"]: []}
        unseen = {names["country"]: "XX", names["level"]: 5, names["same"]: 9.0, names["hobbies"]: ["go", "golf"]}
        return [
            {names["customer"]: "c3"} | impression,
            {names["customer"]: "c49"} | impression,  # without a row in the log
            {names["customer"]: "c4", names["device"]: None, names["hour"]: None, names["country"]: "DE"},
            new,
            new | unseen | {names["customer"]: "nobody", names["member"]: False, names["age"]: -100.0},
            new | {schema.history: [], schema.user_statistic: 0.0, names["level"]: 2**53 + 1},
            new | {schema.history: [1140, 5, 1000] * 60, schema.user_statistic: 1.0, names["hobbies"]: ["go"] * 3},
        ]

    def check_names_and_dimensions(self, run, data):
        """Inputs are named as their features, lists have dimensions of their own, and the document says what is so."""
        document = json.loads((run / "onnx" / "encoding.json").read_text(encoding="utf-8"))
        columns = data.feature_columns(4, history=True)
        for program, side in (("user_tower", columns.user), ("item_tower", columns.item)):
            session = onnxruntime.InferenceSession(run / "onnx" / f"{program}.onnx")
            inputs, entries = session.get_inputs(), document["programs"][program]["inputs"]
            assert [one["feature"] for one in entries] == [column.name for column in side]
            assert [(one["input"], one["shape"]) for one in entries] == [(one.name, one.shape) for one in inputs]
            for one, entry in zip(inputs, entries, strict=True):
                assert one.name == entry["feature"] or not entry["feature"] or "\0" in entry["feature"]
                assert one.type == {"int64": "tensor(int64)", "float32": "tensor(float)"}[entry["dtype"]]
                expected = ["rows", f"length of {one.name}"] if entry["kind"] == "list" else ["rows"]
                assert one.shape == expected
            (output,) = session.get_outputs()
            told = document["programs"][program]["output"]
            assert (output.name, output.shape) == (told["name"], told["shape"])
            assert output.name not in [one.name for one in inputs]
            metadata = session.get_modelmeta().custom_metadata_map
            assert metadata == {"model_sha256": model_checksum(run)}
        for table in ("users.parquet", "items.parquet"):
            assert pq.read_schema(run / "onnx" / table).metadata[b"model_sha256"].decode() == model_checksum(run)
        assert document["model_sha256"] == model_checksum(run)
        for path in (run / "onnx").glob("*.onnx"):
            assert str(serving.export.__file__).encode() not in path.read_bytes()
            assert not re.search(rb"/[\w.-]+/[\w.-]+\.py", path.read_bytes())


class TestNames:
    def test_those_that_no_program_can_have_are_replaced_by_free_ones(self):
        names = ["", "input 0", "a\0b", "\ud800", "input 3", "input 3_", "ok", "e\u0301", "\u00e9"]
        given = input_names(names)
        assert len(set(given)) == len(names)
        changed = {old: new for old, new in zip(names, given, strict=True) if old != new}
        assert changed == {"": "input 0_", "a\0b": "input 2", "\ud800": "input 3__"}


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(scope="module")
def programs(data, tmp_path_factory):
    """Of a model without an index, and what its export gave; made once, for an export takes seconds."""
    run = save_run(tmp_path_factory.mktemp("run"), random_model("mvke", data), data)
    made, real = {}, serving.export._programs
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving.export, "_programs", lambda *given: made.setdefault("programs", real(*given)))
        exported = export_onnx(run)
    return run, exported, made["programs"]


@pytest.fixture
def run(data, programs, tmp_path, monkeypatch):
    """A run that is exported at once, with an earlier export of it."""
    shutil.copytree(programs[0], tmp_path / "run")
    monkeypatch.setattr(serving.export, "_programs", lambda *_: programs[2])
    return tmp_path / "run"


class TestWithoutIndex:
    def test_the_programs_give_what_predict_gives(self, data, programs):
        exported = programs[1]
        model = random_model("mvke", data)
        sessions = {path.stem: onnxruntime.InferenceSession(path) for path in exported.files[:3]}
        arrays = plain_arrays(data.test, model.feature_names)

        def tower(kind: str) -> np.ndarray:
            inputs = sessions[kind].get_inputs()
            types = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
            return sessions[kind].run(None, {one.name: arrays[one.name].astype(types[one.type]) for one in inputs})[0]

        logits = sessions["scorer"].run(None, {"query": tower("user_tower"), "item": tower("item_tower")})[0]
        assert logits.shape == (len(data.test), len(data.test))
        assert 1 / (1 + np.exp(-np.diag(logits))) == pytest.approx(model.predict(data.test)[:, 0], abs=1e-5)

    def test_what_is_left_out_is_said(self, data, programs, run):
        exported = programs[1]
        assert re.search(r"users.parquet, items.parquet .* left out: .* has no item index. Build", exported.left_out)
        document = json.loads(exported.files[-1].read_text())
        assert document["tables"] is None
        defaults = {one["feature"]: one["default"] for one in document["programs"]["user_tower"]["inputs"]}
        label = data.raw.label[data.protocol.splits["train"]]
        given = {name: value for name, value in defaults.items() if value is not None}
        assert given == {"user_mean_rating": pytest.approx(label.mean()), "liked_movies": []}
        assert document["left_out"] == exported.left_out
        build_index(run, random_model("mvke", data), data)
        assert export_onnx(run).left_out is None
        assert {path.name for path in (run / "onnx").iterdir()} == FILES
        random_model("mvke", data, seed=4).save(run, data.encoding_json(), overwrite=True)
        with pytest.raises(InputError, match="differ from torch's"):  # the programs are of the model before
            export_onnx(run)
        random_model("mvke", data).save(run, data.encoding_json() | {"note": "another checksum"}, overwrite=True)
        assert "is of another model than the run's" in export_onnx(run).left_out
        assert {path.name for path in (run / "onnx").iterdir()} == FILES - {"users.parquet", "items.parquet"}

    def test_the_command_prints_it(self, run, capsys):
        assert script(prerank.main, "export", run) == 0
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("Written and checked against torch: ")
        assert re.match(r"Not complete: users.parquet, items.parquet .* has no item index. Build one", said[1])

    def test_a_model_saved_without_its_data_takes_ids(self, data, run):
        random_model("mvke", data).save(run, overwrite=True)
        assert "lacks columns, vocabularies or scalers" in export_onnx(run).left_out
        document = json.loads((run / "onnx" / "encoding.json").read_text())
        inputs = {one["feature"]: one for one in document["programs"]["user_tower"]["inputs"]}
        assert inputs["gender"]["vocabulary"] is inputs["income"]["scale"] is None
        assert document["vocabularies"] == {}


class TestRules:
    def test_a_vocabulary_of_mixed_types_is_refused(self, run):
        config = read_config(run)
        config["vocabularies"]["gender"] = ["F", 1]
        (run / "config.json").write_text(seal(config))
        with pytest.raises(InputError, match="values of types int, str"):
            export_onnx(run)


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestWrittenTogetherOrNotAtAll:
    FULL = OSError(errno.ENOSPC, "No space left on device")

    def write(self, folder: Path, names, written, text: str = "new") -> None:
        with replaced_together(folder, names) as staged:
            for name in written:
                (staged / name).write_text(text)

    @pytest.mark.parametrize(
        ("place", "error"),
        [("seal", FULL), ("seal", KeyboardInterrupt()), ("file_sha256", FULL), ("write_tables", FULL)],
    )
    def test_a_failing_export_leaves_the_earlier_one(self, place, error, data, run, monkeypatch):
        build_index(run, random_model("mvke", data), data)
        (run / "onnx" / "notes.txt").write_text("mine")
        before = contents(run / "onnx")
        outside = {path.name for path in run.iterdir()}

        def fail(*_):
            raise error

        monkeypatch.setattr(serving.export, place, fail)
        with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else InputError, match=r".*"):
            export_onnx(run)
        assert contents(run / "onnx") == before
        assert {path.name for path in run.iterdir()} - outside <= {"onnx.lock"}

    @pytest.mark.parametrize("moves", range(4))
    def test_a_move_that_fails_is_taken_back(self, moves, tmp_path, monkeypatch):
        names, folder = ("a", "b", "c", "z"), tmp_path / "files"
        folder.mkdir()
        for name in ("a", "c", "mine"):
            (folder / name).write_text("earlier")
        before, real, left = contents(folder), Path.replace, [moves]

        def replace(self, target):
            if self.parent.name == "files.new":
                if not left[0]:
                    raise OSError(errno.EIO, "Input/output error")
                left[0] -= 1
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(InputError, match=r"cannot be written: Input/output error. What was there before"):
            self.write(folder, names, names)
        assert contents(folder) == before

    def test_files_of_other_names_stay_and_missing_ones_go(self, tmp_path):
        folder = tmp_path / "files"
        for written in (("a", "b"), ("b", "z")):
            self.write(folder, ("a", "b", "z"), written, str(written))
            (folder / "mine").write_text("mine")
        assert contents(folder) == {"b": b"('b', 'z')", "z": b"('b', 'z')", "mine": b"mine"}

    def test_what_a_killed_writer_left_is_not_taken_along(self, tmp_path):
        (tmp_path / "files.new").mkdir()
        (tmp_path / "files.new" / "a").write_text("half")
        self.write(tmp_path / "files", ("a", "b"), ("b",))
        assert contents(tmp_path / "files") == {"b": b"new"}

    def test_a_first_one_that_fails_leaves_no_folder(self, run, monkeypatch):
        shutil.rmtree(run / "onnx")
        monkeypatch.setattr(serving.export_files, "sync_folder", lambda _: None)
        monkeypatch.setattr(serving.export, "file_sha256", lambda _: (_ for _ in ()).throw(self.FULL))
        with pytest.raises(InputError, match="No space left on device"):
            export_onnx(run)
        assert not (run / "onnx").exists()


class TestRefused:
    def test_without_onnx_the_remedy_is_named(self, run, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxscript", None)
        with pytest.raises(InputError, match=r"onnxscript is missing. pip install -r requirements-dev.txt"):
            export_onnx(run)

    def test_an_edited_score(self, data, tmp_path, monkeypatch):
        real = utils.fe_score
        monkeypatch.setattr(utils, "fe_score", lambda *given: 2 * real(*given))
        save_run(tmp_path, random_model("int_tower", data), data)
        with pytest.raises(InputError, match=r"a forward alone \(.*an edited fe_score\), which is not exported"):
            export_onnx(tmp_path)
        assert not (tmp_path / "onnx").exists()

    def test_programs_of_more_than_two_gigabytes(self, monkeypatch):
        monkeypatch.setattr("serving.onnx_programs.LARGEST", 3)
        query, items = torch.zeros(2, 1, 8), torch.zeros(2, 8)
        with pytest.raises(InputError, match="GiB of weights, and an ONNX program at most 2 GiB"):
            score_program(Score(Scorer(InnerProduct(), 1, 8)), query, items, "0")

    def test_programs_that_disagree_with_torch(self, data, run):
        random_model("mvke", data, seed=4).save(run, data.encoding_json(), overwrite=True)
        before = contents(run / "onnx")
        with pytest.raises(InputError, match=r"differ from torch's .* Nothing was written"):
            export_onnx(run)
        assert contents(run / "onnx") == before

    def test_rules_that_disagree_with_the_encoder(self, run, monkeypatch):
        monkeypatch.setattr("serving.export_rules._number", lambda one, value: 0.5)
        with pytest.raises(InputError, match=r"raw values\). Nothing was written"):
            export_onnx(run)
