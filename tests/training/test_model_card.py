"""The model card of a run: hubs can read it, it says what `result.json` says, and its lines do what they say."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import random_raw
from own_models import Mine
from run_folder_helpers import STEPS, Run
from script_helpers import script, write_movielens

import prerank
import train_movielens_whole_models
from experiment.model_card import TESTED_ON, model_card
from experiment.script import Interrupted
from experiment.shown_settings import settings_text
from foundation.errors import InputError
from model import MODELS, load_model
from model.base import TwoTower
from model.editable import version_of
from preprocessing import utils
from preprocessing.frames import raw_from_frames
from preprocessing.protocol import PROTOCOLS
from serving.ranker import PreRanker
from training.result_file import read_result

LEAK = "These numbers are better than they should be."
GENERATED = "The data are generated."
ODD = 'a|b: #1 "x" `y` *z* [l](m) <br> \\ \n--- \x1b[31m\u202e 電影 \U0001f600 \ufffe'
METRICS = {"auc": "roc_auc", "logloss": "logloss", "gauc": "gauc"}


@pytest.fixture(scope="module", autouse=True)
def _quick():
    """No picture, and a checkout that stays as it is, whoever works in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.run_folder.curves_png", lambda *_: b"picture")
        patch.setattr("experiment.record.code_revision", lambda: {"revision": "0123456789ab", "changed": False})
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Protocol -> folder of a finished run, the run"""
    done = {}
    for protocol in PROTOCOLS:
        out = tmp_path_factory.mktemp(protocol) / "run"
        done[protocol] = out, Run(out, "--epoch", 2, "--protocol", protocol)
        done[protocol][1]()
    return done


def card_of(folder) -> tuple[dict, str]:
    """The metadata and the text of a card."""
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def blocks(body: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)\n```$", body, re.MULTILINE | re.DOTALL)


def cells(line: str) -> list[str]:
    """Of a line of a table."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows_of(body: str, section: str) -> dict[str, list[str]]:
    """Of the table in a section: first cell -> the others."""
    text = body.partition(f"## {section}\n")[2].partition("\n## ")[0]
    lines = [cells(line) for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    return {first: rest for first, *rest in lines[2:]}


def card_with(run: Run, out, /, **changes) -> str:
    """The card of a run whose result were another in these entries."""
    return model_card(run.model, run.data, MODELS["int_tower"], read_result(out) | changes)


@pytest.mark.parametrize("protocol", PROTOCOLS)
class TestOfARun:
    def test_metadata_have_the_layout_of_hubs(self, runs, protocol):
        out, _ = runs[protocol]
        head, _ = card_of(out)
        result = read_result(out)
        assert list(head) == ["library_name", "tags", "datasets", "metrics", "model-index"]
        assert head["metrics"] == list(METRICS.values())
        (model,) = head["model-index"]
        (tested,) = model["results"]
        assert model["name"] == "IntTower"
        assert set(tested) == {"task", "dataset", "metrics"}
        assert (tested["task"]["type"], tested["dataset"]["split"]) == ("tabular-classification", "test")
        assert tested["dataset"]["type"] == head["datasets"][0] == "by-hand"
        assert tested["dataset"]["revision"] == result["data_sha256"]
        assert {metric["type"]: metric["value"] for metric in tested["metrics"]} == {
            METRICS[name]: value for name, value in result["test"].items()
        }

    def test_numbers_are_those_of_the_result(self, runs, protocol):
        out, run = runs[protocol]
        body, result = card_of(out)[1], read_result(out)
        found = result["retrieval"]["test"]
        assert rows_of(body, "Numbers") == {
            **{split: [f"{result[split][name]:.4f}" for name in METRICS] for split in ("test", "validation")},
            "of 15 items": ["recall", "NDCG", "hit rate"],
            "---": ["--:"] * 3,
            **{f"best {k}": [f"{found[f'{name}@{k}']:.4f}" for name in ("recall", "ndcg", "hit")] for k in (10, 100)},
        }
        assert f"Means over {found['users']} users with a positive" in body
        data = rows_of(body, "Data and protocol")
        assert data["rows"] == [", ".join(f"{count:,} {split}" for split, count in result["rows"].items())]
        assert data["fingerprint (SHA-256 of the content)"] == [f"`{result['data_sha256']}`"]
        assert f"epoch {result['best_epoch']} of 2" in body
        assert rows_of(body, "Model")["parameters"] == [f"{run.model.num_parameters:,}"]

    def test_leak_is_told_where_there_is_one(self, runs, protocol):
        out, run = runs[protocol]
        head, body = card_of(out)
        leaks = run.data.protocol.leaks_labels
        assert (LEAK in body) == leaks
        assert rows_of(body, "Data and protocol")["leaks test labels"] == ["**yes**" if leaks else "no"]
        dataset = head["model-index"][0]["results"][0]["dataset"]
        assert dataset["args"]["leaks_test_labels"] == leaks
        assert ("leaks test labels" in dataset["name"]) == leaks
        if leaks:
            assert run.data.protocol.leak[1:] in body

    def test_second_training_is_told(self, runs, protocol):
        out, _ = runs[protocol]
        assert ("trained anew" in card_of(out)[1]) == ("refit" in read_result(out))

    def test_every_setting_is_there(self, runs, protocol):
        out, run = runs[protocol]
        settings, config = rows_of(card_of(out)[1], "Settings"), read_result(out)["config"]
        assert set(settings) >= {f"`{name}`" for name in config if name != "model_arguments"}
        assert settings["`dnn_hidden_units`"] == ["`[8, 6]` \\*"]  # given
        assert settings["`item_head`"] == ["`4`"]  # the constructor's default
        assert not {"`device`", "`task`", "`gpus`"} & {f"`{name}`" for name in run.model.settings}

    def test_an_edited_function_is_named(self, runs, protocol, monkeypatch):
        out, run = runs[protocol]
        assert "`edited`" not in rows_of(card_of(out)[1], "Settings")
        monkeypatch.setattr(utils, "fe_score", lambda *given: None)
        named = f"`fe_score-{version_of(utils.fe_score)[:8]}`"
        assert rows_of(card_with(run, out), "Settings")["`edited`"] == [named]

    def test_settings_are_marked_as_on_the_console(self, runs, protocol):
        out, run = runs[protocol]
        settings = rows_of(card_of(out)[1], "Settings")
        console = re.findall(r"(\w+)=\S*\*(?=\s|$)", settings_text(run.model, run.data, run.options, None))
        marked = {name.strip("`") for name, (value,) in settings.items() if value.endswith("\\*")}
        assert {"dnn_hidden_units", "batch_size", "lr"} <= marked == {*console} & {name.strip("`") for name in settings}

    def test_is_the_same_for_the_same_run(self, runs, protocol, tmp_path):
        out, _ = runs[protocol]
        Run(tmp_path, "--epoch", 2, "--protocol", protocol)()
        assert (tmp_path / "README.md").read_bytes() == (out / "README.md").read_bytes()

    def test_resumed_equals_uninterrupted(self, runs, protocol, tmp_path):
        out, _ = runs[protocol]
        argv = ("--epoch", 2, "--protocol", protocol)
        with pytest.raises(Interrupted):
            Run(tmp_path, *argv, stop=KeyboardInterrupt(), at_step=STEPS + 1)()
        assert not (tmp_path / "README.md").exists()
        Run(tmp_path, *argv, "--resume")()
        assert (tmp_path / "README.md").read_bytes() == (out / "README.md").read_bytes()
        Run(tmp_path, *argv, "--resume")()  # is finished
        assert (tmp_path / "README.md").read_bytes() == (out / "README.md").read_bytes()


def test_every_protocol_is_described():
    assert TESTED_ON.keys() == PROTOCOLS.keys()


def test_generated_data_are_told(runs, tmp_path):
    raw = random_raw()
    Run(tmp_path, "--epoch", 1, raw=dataclasses.replace(raw, best_score=np.linspace(0.1, 0.9, len(raw))))()
    assert GENERATED in card_of(tmp_path)[1]
    assert GENERATED not in card_of(runs["published"][0])[1]


def test_a_result_of_before_retrieval_was_measured_has_a_card(runs):
    out, run = runs["holdout"]
    assert "hit rate" in card_of(out)[1]
    earlier = {name: value for name, value in read_result(out).items() if name != "retrieval"}
    assert "hit rate" not in model_card(run.model, run.data, MODELS["int_tower"], earlier)


def test_paper_is_beside_the_numbers(runs):
    out, run = runs["holdout"]
    body = card_with(run, out, paper={"auc": 0.8974, "logloss": 0.3128})
    assert rows_of(body, "Numbers")["test, in the paper"] == ["0.8974", "0.3128", "-"]
    assert "under the published protocol, which leaks test labels" in body


def test_a_metric_that_is_not_defined_is_left_out(runs):
    out, run = runs["holdout"]
    text = card_with(run, out, test=read_result(out)["test"] | {"gauc": None})
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["metrics"] == ["roc_auc", "logloss"]
    assert len(head["model-index"][0]["results"][0]["metrics"]) == 2
    assert rows_of(text, "Numbers")["test"][2] == "-"
    assert not re.search(r"\b(nan|None)\b", text)


class TestLines:
    """The code of a card, run as it stands in the root of the project, with RUN replaced by the folder."""

    def lines(self, folder, language) -> list[str]:
        return [re.sub(r"\bRUN\b", str(folder), block) for block in blocks(card_of(folder)[1], language)]

    def execute(self, folder, monkeypatch, **names) -> dict:
        monkeypatch.chdir(Path(prerank.__file__).parent)
        for block in self.lines(folder, "python"):
            exec(block, names)
        return names

    @pytest.mark.parametrize("name", ["dssm", "int_tower", "hit", "gbdt", "lr"])
    def test_of_data_that_can_be_read_again(self, name, tmp_path, monkeypatch, capsys):
        (tmp_path / "data").mkdir()
        argv = ["--data_path", write_movielens(tmp_path / "data"), "--out", tmp_path / "run", "--epoch", 2, "--quiet"]
        argv += [] if name == "gbdt" else ["--batch_size", 64]
        assert script(train_movielens_whole_models.main, "--model_name", name, *argv) == 0
        capsys.readouterr()
        names = self.execute(tmp_path / "run", monkeypatch)
        scores = read_result(tmp_path / "run")["test"]
        assert capsys.readouterr().out == f"{scores}\n"
        assert "the probability of a rating above 3 (ratings of 3 are dropped)" in card_of(tmp_path / "run")[1]
        is_two_tower = issubclass(MODELS[name].model_class, TwoTower)
        commands = self.lines(tmp_path / "run", "shell")[:-1]  # the last is the run's own
        assert len(commands) == is_two_tower
        for line in "\n".join(commands).splitlines():
            words = [{"USER": "1"}.get(word, word) for word in shlex.split(line)]
            assert words[0] == "python"
            assert Path(words[1]).samefile(prerank.__file__)
            assert script(prerank.main, *words[2:]) == 0
        if is_two_tower:
            assert "Best 10 of 20 items" in capsys.readouterr().out
        raw, test = names["data"].raw, names["data"].test.rows.numpy()
        rows = raw.users.iloc[raw.user[test]].reset_index(drop=True)
        rows = rows.join(raw.items.iloc[raw.item[test]].reset_index(drop=True))
        rows["genres"] = rows["genres"].str.split("|")
        assert names["model"].predict(rows).shape == (len(test), 1)

    def test_of_data_of_ones_own(self, tmp_path, monkeypatch):
        run = Run(tmp_path, "--epoch", 1, "--protocol", "holdout")
        run()
        names = self.execute(tmp_path, monkeypatch, data=run.data)
        assert np.array_equal(names["model"].predict(run.data.test), run.model.predict(run.data.test))
        assert len(PreRanker.load(tmp_path).rank(107, k=3)) == 3
        body = card_of(tmp_path)[1]
        assert "the probability of a positive label" in body
        assert "click" not in body.partition("\n# ")[2]

    def test_of_a_model_of_ones_own(self, tmp_path, monkeypatch):
        run = Run(tmp_path, "--epoch", 1)
        run.options = dataclasses.replace(run.options, asked=())  # the script passes nothing on
        columns = run.data.feature_columns(4)
        run.model = Mine(columns.user, columns.item, dnn_hidden_units=(8, 6), field_dim=4, seed=1)
        run.model.compile("adam")
        run()
        names = self.execute(tmp_path, monkeypatch)
        assert isinstance(names["model"], Mine)
        assert np.array_equal(names["model"].predict(run.data.test), run.model.predict(run.data.test))
        assert "`docs/own_model.md`" in card_of(tmp_path)[1]

    def test_of_an_item_tower_that_reads_the_impression(self, tmp_path):
        raw = random_raw()
        place = {"place": np.arange(len(raw)) % 3 / 2.0}
        schema = dataclasses.replace(raw.schema, item_dense=("price", "place"))
        Run(tmp_path, "--epoch", 1, raw=dataclasses.replace(raw, interactions=place, schema=schema))()
        body = card_of(tmp_path)[1]
        assert "The item tower reads `place`" in body
        assert "hit rate are not measured. This IntTower reads place of an impression" in body
        assert "build_index" not in body


class TestCommand:
    def card(self, out, run, *command) -> str:
        return card_with(run, out, run=read_result(out)["run"] | {"command": list(command)})

    def test_is_that_of_the_run(self, runs):
        out, run = runs["holdout"]
        text = self.card(out, run, "train.py", "--resume", "--out", "a b", "--set", "gamma='x'", "--overwrite")
        (block,) = blocks(text, "shell")
        assert shlex.split(block) == ["python", "train.py", "--out", "a b", "--set", "gamma='x'"]

    def test_has_no_place_of_a_script_that_was_named_in_full(self, runs):
        out, run = runs["holdout"]
        assert blocks(self.card(out, run, "/home/me/train.py", "--quiet"), "shell") == ["python train.py --quiet"]

    def test_cannot_leave_its_block(self, runs):
        out, run = runs["holdout"]
        text = self.card(out, run, "train.py", "--out", "a\n```\n# Title\n````")
        assert text.partition("`````shell\n")[2].partition("\n`````\n")[0].endswith("'a\n```\n# Title\n````'")

    def test_code_without_git(self, runs):
        out, run = runs["holdout"]
        code = {"revision": None, "changed": None}
        assert "Code: not known" in card_with(run, out, run=read_result(out)["run"] | {"code": code})


class TestOddNames:
    """Names of anybody's data neither break the metadata nor the tables."""

    @pytest.fixture(scope="class")
    @classmethod
    def odd(cls, tmp_path_factory):
        users, items, values = np.arange(300) % 13, np.arange(300) % 17, np.arange(300) % 7 / 7
        frame = pd.DataFrame({"a|u\n": users, "it`em\\": items, "y": [0, 1, 1] * 100, ODD: values})
        raw = raw_from_frames(None, None, frame, user_id="a|u\n", item_id="it`em\\", label="y", name="plain")
        out = tmp_path_factory.mktemp("odd") / 'a|b: #"`\n---\n'
        run = Run(out, "--epoch", 1, "--protocol", "holdout", raw=dataclasses.replace(raw, name=ODD))
        run()
        return out, run

    def test_metadata_are_read(self, odd):
        out, _ = odd
        head, _ = card_of(out)
        tested = head["model-index"][0]["results"][0]
        assert tested["dataset"]["name"].startswith('a|b: #1 "x" `y` *z* [l](m) <br> \\  --- [31m 電影 \U0001f600')
        assert re.fullmatch(r"[a-z0-9_.-]+", tested["dataset"]["type"])

    def test_tables_keep_their_cells(self, odd):
        out, _ = odd
        body = card_of(out)[1]
        assert {len(rest) for rest in rows_of(body, "Data and protocol").values()} == {1}
        features = rows_of(body, "Model")
        assert features["user features"][0].startswith("a\\|u, ")
        assert features["item features"][0].startswith("it\\`em\\\\")
        assert len(rows_of(body, "Settings")) > 10
        assert body.count("\n# ") == 1

    def test_nothing_obeys_the_name(self, odd):
        out, _ = odd
        text = (out / "README.md").read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(re.findall("^---$", text, re.MULTILINE)) == 2


class TestBesideOtherFiles:
    OWN = "# My notes\n"

    def test_a_readme_of_the_user_is_not_replaced(self, tmp_path):
        (tmp_path / "README.md").write_text(self.OWN)
        with pytest.raises(InputError, match=r"README.md is not the card of a run.*Move it away.*--out"):
            Run(tmp_path, "--epoch", 1)()
        assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
        assert (tmp_path / "README.md").read_text() == self.OWN

    def test_nor_is_one_that_came_during_the_run(self, tmp_path):
        run = Run(tmp_path, "--epoch", 2)
        original = run.model.evaluate

        def evaluate(rows):
            (tmp_path / "README.md").write_text(self.OWN)
            return original(rows)

        run.model.evaluate = evaluate
        with pytest.raises(InputError, match="is not the card of a run"):
            run()
        assert (tmp_path / "README.md").read_text() == self.OWN
        (tmp_path / "README.md").unlink()
        Run(tmp_path, "--epoch", 2, "--resume")()
        assert card_of(tmp_path)[0]["library_name"] == "pytorch"

    def test_a_finished_run_may_have_been_given_another(self, tmp_path):
        Run(tmp_path, "--epoch", 1)()
        (tmp_path / "README.md").write_text(self.OWN)
        Run(tmp_path, "--epoch", 1, "--resume")()
        assert (tmp_path / "README.md").read_text() == self.OWN

    def test_it_may_be_edited(self, tmp_path):
        run = Run(tmp_path, "--epoch", 1)
        run()
        with (tmp_path / "README.md").open("a") as file:
            file.write("\nMore about it.\n")
        assert read_result(tmp_path)["model"] == "int_tower"
        assert np.array_equal(load_model(tmp_path).predict(run.data.test), run.model.predict(run.data.test))

    @pytest.mark.parametrize("has_result", [True, False])
    def test_a_saved_model_is_not_left_with_the_card_of_another(self, has_result, tmp_path):
        run = Run(tmp_path, "--epoch", 1)
        run()
        if not has_result:
            (tmp_path / "result.json").unlink()
        run.model.save(tmp_path, overwrite=True)
        assert not (tmp_path / "README.md").exists()
        (tmp_path / "README.md").write_text(self.OWN)
        run.model.save(tmp_path)
        assert (tmp_path / "README.md").read_text() == self.OWN

    def test_nor_is_an_interrupted_one(self, tmp_path):
        Run(tmp_path, "--epoch", 1)()
        (tmp_path / "result.json").unlink()
        with contextlib.suppress(Interrupted):
            Run(tmp_path, "--epoch", 3, "--seed", 5, stop=KeyboardInterrupt(), at_step=STEPS + 1)()
        assert load_model(tmp_path).seed == 5
        assert not (tmp_path / "README.md").exists()

    def test_is_that_of_the_run_that_took_the_place(self, tmp_path):
        Run(tmp_path, "--epoch", 1, "--seed", 1)()
        Run(tmp_path, "--epoch", 1, "--seed", 2, "--overwrite")()
        assert rows_of(card_of(tmp_path)[1], "Settings")["`seed`"] == ["`2` \\*"]
        assert json.loads((tmp_path / "result.json").read_text())["seed"] == 2
