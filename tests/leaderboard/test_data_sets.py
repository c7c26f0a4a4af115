"""`benchmark.py --dataset`: what names mean, what fits which data, and boards of data other than MovieLens."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers import random_raw
from script_helpers import assert_short_error, script

from benchmark import main
from benchmarks.make_taobao import make_taobao
from foundation.errors import InputError
from leaderboard.ablations.variants import ABLATIONS, ablation_jobs
from leaderboard.board import Results
from leaderboard.data_sets import DATASET, MOVIELENS, PUBLISHED, DataSet, settings_origin
from leaderboard.fitting import fitting_protocols, with_effect
from leaderboard.grid.data_sets import data_sets_table
from leaderboard.jobs import Job
from leaderboard.pages import plain_report, write_report
from model import default_settings
from preprocessing.protocol import PROTOCOLS

OWN = DataSet("own", "train_own_data.py", Path("/somewhere/my-shop"), "my-shop")


class TestNames:
    @pytest.mark.parametrize("name", PUBLISHED)
    def test_published_data_are_known_by_name(self, name):
        assert DataSet.find(name) == PUBLISHED[name]
        assert DataSet.find(name).name == name

    def test_a_folder_with_a_spec_is_data_of_ones_own(self, tmp_path):
        (tmp_path / "my-shop").mkdir()
        (tmp_path / "my-shop" / "dataset.toml").touch()
        found = DataSet.find(str(tmp_path / "my-shop"))
        assert (found.key, found.shown, found.is_published) == ("own", "my-shop", False)

    def test_what_is_neither_is_an_error_that_says_what_there_is(self, tmp_path, capsys):
        assert script(main, "--dataset", "movies") == 2
        assert_short_error(capsys, "There is no data set 'movies'. Known: ml-1m, amazon, taobao")
        assert script(main, "--dataset", tmp_path) == 2
        assert_short_error(capsys, f"`python train_own_data.py --describe {tmp_path}` writes a first one")

    @pytest.mark.parametrize("dataset", [*PUBLISHED.values(), OWN], ids=lambda dataset: dataset.name)
    def test_a_result_says_of_which_data_set_it_is(self, dataset):
        job = Job(dataset, "holdout", "hit", 1023)
        found = DataSet.of_arguments(job.command(None)[1:])
        assert (found.key, found.name) == (dataset.key, dataset.name)

    def test_a_filed_command_holds_no_place_and_a_run_one_does(self):
        job = Job(OWN, "holdout", "hit", 1023)
        shown = job.command(None)
        assert shown[:5] == ["python", "train_own_data.py", "my-shop", "--model_name", "hit"]
        run = job.command("tables", Path("out"))
        assert run[1:3] == ["train_own_data.py", "/somewhere/my-shop"]
        assert run[3 : 3 + len(job.options)] == shown[3:] == job.options

    def test_where_settings_come_from(self):
        assert settings_origin(MOVIELENS, DATASET).startswith("The default settings were chosen on these data")
        for dataset, name in ((MOVIELENS, "ml-100k"), (OWN, "my-shop"), (PUBLISHED["amazon"], "amazon-electronics")):
            assert "nothing was tuned on these data" in settings_origin(dataset, name)


class TestFitting:
    def test_published_is_for_data_of_the_releases_alone(self, capsys):
        assert fitting_protocols(MOVIELENS, random_raw(), list(PROTOCOLS)) == list(PROTOCOLS)
        assert capsys.readouterr().out == ""
        assert fitting_protocols(OWN, random_raw(), list(PROTOCOLS)) == ["holdout", "temporal"]
        assert capsys.readouterr().out.startswith("Left out: published: ")
        with pytest.raises(InputError, match="published: shop is none of the data that the papers' releases read"):
            fitting_protocols(OWN, replace(random_raw(), name="shop"), ["published", "holdout"])

    def test_what_the_data_cannot_be_split_by_is_left_out_and_an_error_where_it_was_asked_for(self, capsys):
        tiny = replace(random_raw(), label=np.ones(len(random_raw()), dtype=np.float32))  # a single class
        with pytest.raises(InputError, match=r"(?s)published: .*holdout: .*temporal: "):
            fitting_protocols(MOVIELENS, tiny, list(PROTOCOLS))
        with pytest.raises(InputError, match=r"^temporal: "):
            fitting_protocols(OWN, tiny, ["temporal"])

    def test_every_ablation_changes_something_on_movielens(self, capsys):
        jobs = ablation_jobs(MOVIELENS, list(PROTOCOLS), 1, ABLATIONS)
        assert with_effect(jobs, random_raw()) == jobs
        assert capsys.readouterr().out == ""

    def test_variants_that_are_the_defaults_or_that_the_data_cannot_have_are_left_out(self, capsys):
        amazon = PUBLISHED["amazon"]
        raw = replace(random_raw(), schema=replace(random_raw().schema, user_statistic=None, item_statistic=None))
        raw = replace(raw, schema=replace(raw.schema, history=None))
        jobs = ablation_jobs(amazon, ["temporal"], 1, ABLATIONS)
        left_out = {(job.model, job.variant) for job in set(jobs) - set(with_effect(jobs, raw))}
        assert left_out >= {("hit", "no_history"), ("deep_fm", "history"), ("int_tower", "as_of"), ("lr", "as_of")}
        assert default_settings("int_tower", "amazon")["user_head"] == 32
        assert ("int_tower", "heads_32") in left_out
        assert not {("int_tower", "heads_1"), ("int_tower", "no_light_se"), ("hit", "no_target")} & left_out
        out = capsys.readouterr().out
        assert all(f"{model} {variant}" in out for model, variant in left_out)

    @pytest.mark.parametrize("dataset", PUBLISHED.values(), ids=PUBLISHED)
    def test_curves_over_heads_know_the_defaults_of_the_data_set(self, dataset):
        (entry,) = (each for each in ABLATIONS if each.title == "IntTower's heads")
        assert entry.on(MOVIELENS.key) == entry
        assert entry.on(dataset.key).default_heads == default_settings("int_tower", dataset.key).get("user_head", 4)


def write_results(folder: Path, dataset: DataSet, name: str, **aucs: list[float]) -> None:
    """A result a model and seed under both honest protocols."""
    for model, values in aucs.items():
        for seed, auc in enumerate(values, 1023):
            for protocol, lower in (("holdout", 0.0), ("temporal", 0.1)):
                job = Job(dataset, protocol, model, seed)
                scores = {"auc": auc - lower, "logloss": 0.3, "gauc": 0.7}
                result = {"protocol": protocol, "model": model, "seed": seed, "parameters": 1000, "best_epoch": 1}
                result |= {"test": scores, "validation": scores, "seconds": {"train": 1.0}}
                result |= {"command": " ".join(job.command(None)), "arguments": job.command(None)[1:]}
                path = folder / name / job.file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(result))


class TestPages:
    @pytest.fixture
    def folder(self, tmp_path):
        write_results(tmp_path, MOVIELENS, "ml-1m", hit=[0.9, 0.91, 0.92], dssm=[0.8, 0.8, 0.8])
        write_results(tmp_path, OWN, "a-shop", hit=[0.7, 0.71, 0.72], lr=[0.75, 0.75])
        return tmp_path

    def test_all_data_sets_stand_side_by_side(self, folder):
        every = Results.load_all(folder)
        assert list(every) == ["ml-1m", "a-shop"]
        lines = data_sets_table({name: each.runs for name, each in every.items()}).replace("\u00a0", " ").splitlines()
        heads = [f"{name} `{protocol}`" for name in every for protocol in ("holdout", "temporal")]
        assert lines[0] == f"| AUC | {' | '.join(heads)} |"
        assert lines[2:5] == [
            "| HIT | 0.9100 ± 0.0248 | 0.8100 ± 0.0248 | 0.7100 ± 0.0248 | 0.6100 ± 0.0248 |",
            "| DSSM | 0.8000 ± 0.0000 | 0.7000 ± 0.0000 |  |  |",
            "| LR |  |  | 0.7500 | 0.6500 |",
        ]
        assert lines[-1] == "Seeds: 3, but 2 for a-shop `holdout` (LR), a-shop `temporal` (LR)."

    def test_each_has_a_page_that_says_where_its_settings_are_from_and_how_much_was_tested(self, folder):
        paths = write_report(folder)
        pages = {path.parent.name: path.read_text() for path in paths if path.name == "README.md"}
        assert set(pages) == {folder.name, "ml-1m", "a-shop"}
        assert "chosen on MovieLens-1M; nothing was tuned on these data" in pages["a-shop"]
        assert "nothing was tuned" not in pages["ml-1m"]
        assert "Differences of AUC that were tested: 2." in pages["ml-1m"]  # HIT minus DSSM, under two protocols
        assert "No differences of AUC were tested" in pages["a-shop"]
        assert "[a-shop](a-shop/README.md): 10 runs." in pages[folder.name]
        assert "paper's AUC" not in pages["a-shop"]
        assert all(path.exists() for path in paths)
        assert write_report(folder) == paths

    def test_a_part_of_the_data_is_called_that(self, folder):
        every = Results.load_all(folder)
        assert "A part of the data" not in plain_report(every["a-shop"])
        assert "A part of the data" in plain_report(replace(every["a-shop"], dataset="a-shop-first20000"))

    def test_a_page_of_someone_elses_is_never_replaced(self, folder):
        for place in (folder, folder / "a-shop"):
            (place / "README.md").write_text("My notes.")
            with pytest.raises(InputError, match=r"would replace .*README\.md"):
                write_report(folder)
            assert (place / "README.md").read_text() == "My notes."
            (place / "README.md").unlink()

    def test_a_folder_of_results_anywhere_is_reported_with_its_tables_as_files(self, folder, capsys):
        assert script(main, "--report", "--results", folder, "--tables", folder / "tables") == 0
        assert pd.read_csv(folder / "tables" / "a-shop" / "leaderboard-holdout.csv")["model"].tolist() == ["LR", "HIT"]
        assert "results are of this code" not in capsys.readouterr().out

    def test_a_folder_without_results_is_an_error(self, tmp_path, capsys):
        assert script(main, "--report", "--results", tmp_path) == 2
        assert_short_error(capsys, "There is no data set with results")


SMALL = ("--seeds", "1", "--results", "r", "--runs", "s", "--protocols", "holdout")


class TestWhole:
    """From raw files to pages, in processes of their own."""

    def test_a_board_of_generated_taobao_with_stages(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        make_taobao(tmp_path / "data", rows=1500, profiles=60, ads=40, click_rate=0.3)
        own = ("--dataset", "taobao", "--data_path", "data", *SMALL, "--models", "dssm", "lr")
        reduced = "leaderboard.jobs.GRID_ARGUMENTS", {"holdout": ("--epoch", "1")}
        monkeypatch.setattr(*reduced)
        assert script(main, *own) == 0
        assert script(main, *own, "--stages") == 0
        assert script(main, "--report", "--results", "r") == 0
        out = capsys.readouterr().out
        assert "those of the papers' releases; nothing was tuned on these data" in out
        assert "generated-taobao, holdout: test rows\nmodel" in out
        (entry,) = json.loads(Path("r/generated-taobao/stages.json").read_text(encoding="utf-8"))
        assert entry["command"].startswith("python benchmark.py --stages --dataset taobao --models dssm ")
        assert 0 <= entry["survivors"]["200"] <= 1
        assert "## survivors holdout" in Path("r/generated-taobao/README.md").read_text(encoding="utf-8")

    def test_a_board_of_ones_own_data(self, tmp_path, monkeypatch, capsys):
        pytest.importorskip("preprocessing.own_data")
        monkeypatch.chdir(tmp_path)
        write_shop(tmp_path / "shop")
        monkeypatch.setattr("leaderboard.jobs.GRID_ARGUMENTS", {"holdout": ("--epoch", "1")})
        own = ("--dataset", "shop", *SMALL, "--models", "dssm", "lr")
        assert script(main, *own) == 0
        (path,) = Path("r/shop/holdout/dssm").glob("*.json")
        result = json.loads(path.read_text(encoding="utf-8"))
        assert result["arguments"][:3] == ["train_own_data.py", "shop", "--model_name"]
        assert str(tmp_path) not in path.read_text(encoding="utf-8")
        assert script(main, *own, "--stages") == 0
        assert script(main, "--dataset", "shop", *SMALL[:4], "--audit", "--protocols", "holdout") == 0
        assert script(main, "--report", "--results", "r") == 0
        assert "chosen on MovieLens-1M; nothing was tuned on these data" in capsys.readouterr().out
        page = Path("r/shop/README.md").read_text(encoding="utf-8")
        for heading in ("## leaderboard holdout", "## survivors holdout", "## audit"):
            assert heading in page
        assert script(main, "compare", *Path("r/shop/holdout").glob("*/seed1023.json")) == 0
        assert script(main, "--dataset", "shop", *SMALL[:-1], "temporal") == 2  # the log has no times
        assert "The temporal protocol needs times" in capsys.readouterr().err


def write_shop(folder: Path) -> None:
    """Users, items and a log of 1,200 clicks with positions and without times, as tables of a `dataset.toml`."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    taste, kind = rng.integers(0, 3, 40), rng.integers(0, 3, 30)
    pd.DataFrame({"user": range(40), "city": taste}).to_csv(folder / "users.csv", index=False)
    pd.DataFrame({"item": range(30), "kind": kind}).to_csv(folder / "items.csv", index=False)
    user, item = rng.integers(0, 40, 1200), rng.integers(0, 30, 1200)
    click = (rng.random(1200) < np.where(taste[user] == kind[item], 0.8, 0.2)).astype(int)
    log = {"user": user, "item": item, "position": rng.integers(1, 6, 1200), "click": click}
    pd.DataFrame(log).to_csv(folder / "log.csv", index=False)
    tables = '[log]\nfiles = "log.csv"\nuser = "user"\nitem = "item"\nlabel = "click"\n'
    tables += '[users]\nfiles = "users.csv"\nid = "user"\n[items]\nfiles = "items.csv"\nid = "item"\n'
    kinds = '[kinds]\ncity = "sparse"\nkind = "sparse"\nposition = "sparse"\n'
    (folder / "dataset.toml").write_text(tables + kinds, encoding="utf-8")
