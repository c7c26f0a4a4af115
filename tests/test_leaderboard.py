"""Runs of a benchmark: what is missing is run, what is there is kept, and the statistics over it."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import random_raw
from scipy import stats

from experiment.options import parse_options
from leaderboard.ablations import ABLATIONS, Ablation, ablation_jobs
from leaderboard.jobs import SCRIPTS, Job, grid
from leaderboard.measures.audit import _auc, audit, membership
from leaderboard.recipes import recipe_jobs
from leaderboard.report import ablation_tables, tables
from leaderboard.report.pages import Results, filled, full_report
from leaderboard.report.pictures import pictures_of
from leaderboard.report.speed import Speeds
from leaderboard.runner import Runner, code_version
from leaderboard.statistics import Estimate, compare, load_runs, paired_p_value, relative_improvement
from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.errors import InputError
from preprocessing.protocol import PROTOCOLS

SCRIPT = """
import argparse, json, os, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("model_name", "protocol", "seed", "data_path", "out"):
    parser.add_argument("--" + name)
for name in ("quiet", "resume"):
    parser.add_argument("--" + name, action="store_true")
options = parser.parse_args()
if options.model_name == "broken":
    sys.exit("error: it broke")
out = pathlib.Path(options.out)
out.mkdir(parents=True, exist_ok=True)
with open(options.data_path, "a") as calls:
    print(options.model_name, options.protocol, options.seed, options.resume, file=calls)
test, validation = {"auc": 0.8, "logloss": 0.3, "gauc": 0.7}, {"auc": 0.85, "logloss": 0.25, "gauc": 0.75}
result = dict(protocol=options.protocol, model=options.model_name, seed=int(options.seed), parameters=1, best_epoch=1,
              test=test, validation=validation, calibration={"ece": 0.02, "bins": {}}, seconds={"train": 1.0},
              threads=int(os.environ["OMP_NUM_THREADS"]))
(out / "history.csv").write_text("epoch,auc,val_auc\\n1,0.5,0.55\\n2,0.6,0.65\\n")
(out / "result.json").write_text(json.dumps(result))
"""


@pytest.fixture
def bench(tmp_path):
    """A runner, the jobs of two models with two seeds on a stand-in script, and what that was called with."""
    script, calls = tmp_path / "script.py", tmp_path / "calls.txt"
    script.write_text(SCRIPT)
    calls.write_text("")
    runner = Runner(tmp_path / "results" / "toy", tmp_path / "runs", str(calls), workers=2)
    jobs = [replace(job, script=str(script)) for job in grid("movielens", ["lr", "dssm"], ["holdout"], seeds=2)]
    return runner, jobs, lambda: sorted(calls.read_text().splitlines())


class TestRunner:
    def test_runs_every_job_once(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs, quiet=True)
        expected = sorted(f"{job.model} holdout {job.seed} False" for job in jobs)
        assert calls() == expected
        runner.run(jobs, quiet=True)
        assert calls() == expected

    def test_runs_only_what_is_missing(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs[:1], quiet=True)
        assert runner.missing(jobs) == jobs[1:]
        runner.run(jobs, quiet=True)
        assert len(calls()) == len(jobs)

    def test_a_finished_run_whose_result_was_not_filed_is_not_repeated(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs, quiet=True)
        runner.result_path(jobs[0]).unlink()
        runner.run(jobs, quiet=True)
        assert len(calls()) == len(jobs)
        assert runner.missing(jobs) == []

    def test_other_code_starts_afresh(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs, quiet=True)
        runner.result_path(jobs[0]).unlink()
        replace(runner, code={"revision": "x", "sources_sha256": "f" * 64}).run(jobs, quiet=True)
        assert len(calls()) == len(jobs) + 1

    def test_an_interrupted_run_is_resumed(self, bench):
        runner, jobs, calls = bench
        out = runner.run_folder(jobs[0])
        out.mkdir(parents=True)
        (out / "checkpoint.pt").write_text("")
        runner.run(jobs[:1], quiet=True)
        assert calls() == [f"{jobs[0].model} holdout {jobs[0].seed} True"]

    def test_a_failing_run_is_named_and_stops_no_other(self, bench):
        runner, jobs, calls = bench
        broken = replace(jobs[0], model="broken")
        with pytest.raises(InputError, match=r"(?s)1 of 5 runs failed.*--model_name broken.*it broke"):
            runner.run([broken, *jobs], quiet=True)
        assert len(calls()) == len(jobs)
        assert runner.missing([broken, *jobs]) == [broken]

    def test_a_result_says_how_to_repeat_it(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs[:1], quiet=True)
        result = json.loads(runner.result_path(jobs[0]).read_text())
        assert result["command"].endswith(f"--model_name lr --protocol holdout --seed {jobs[0].seed}")
        assert result["command"].startswith("OMP_NUM_THREADS=")
        assert result["code"] == code_version()
        assert result["history"] == {"epoch": [1, 2], "auc": [0.5, 0.6], "val_auc": [0.55, 0.65]}


CHANGED = ablation_jobs("movielens", ["holdout"], 1, ABLATIONS) + recipe_jobs("movielens", list(MODELS), ["holdout"], 1)


class TestAblations:
    def test_names_and_places_are_distinct(self):
        jobs = ablation_jobs("movielens", list(PROTOCOLS), 2, ABLATIONS)
        jobs += recipe_jobs("movielens", list(MODELS), list(PROTOCOLS), 2)
        assert len({job.place for job in jobs}) == len(jobs)
        assert not {job.place for job in jobs} & {job.place for job in grid("movielens", list(MODELS), PROTOCOLS, 2)}

    @pytest.mark.parametrize("job", CHANGED, ids=lambda job: f"{job.model}-{job.variant}")
    def test_each_builds_another_model_or_trains_otherwise(self, job: Job):
        name = ["--model_name", job.model]
        default, changed = (parse_options("movielens", None, [*name, *more]) for more in ([], job.arguments))
        assert default != changed
        columns = Dataset.build(random_raw(), "holdout", 1).feature_columns(4, history=MODELS[job.model].history)
        build_model(job.model, columns, **changed.model_arguments)

    def test_jobs_run_the_script_of_the_data_set(self):
        assert {job.script for job in ablation_jobs("taobao", ["holdout"], 1, ABLATIONS)} == {SCRIPTS["taobao"]}


def table(**aucs) -> pd.DataFrame:
    """Runs of models with these AUCs under seeds 0, 1, ..."""
    return pd.DataFrame(
        [{"model": name, "seed": seed, "auc": auc} for name, values in aucs.items() for seed, auc in enumerate(values)]
    )


class TestStatistics:
    def test_interval_by_hand(self):
        estimate = Estimate.of([0.1, 0.3])  # s = 0.1414, t(0.975, 1) = 12.706, 12.706 * 0.1
        assert estimate.mean == pytest.approx(0.2)
        assert estimate.half_width == pytest.approx(1.2706, abs=1e-4)

    @pytest.mark.parametrize(("shift", "clear"), [(0.0, False), (0.02, True)])
    def test_difference_equals_scipys_paired_t_test(self, shift, clear):
        first, second = np.random.default_rng(0).normal(0.9, 0.005, (2, 5))
        theirs = stats.ttest_rel(first + shift, second)
        ours = compare(table(a=first + shift, b=second), "a", "b")
        mean, half_width = ours.estimate.mean, ours.estimate.half_width
        assert (mean - half_width, mean + half_width) == pytest.approx(tuple(theirs.confidence_interval(0.95)))
        assert ours.p_value == pytest.approx(theirs.pvalue)
        assert ours.is_clear == (theirs.pvalue < 0.05) == clear

    def test_differences_without_any_spread(self):
        assert paired_p_value(np.array([0.5, 0.5, 0.5])) == 0.0
        assert paired_p_value(np.zeros(3)) == 1.0

    def test_a_single_seed_has_no_interval_and_no_clear_difference(self):
        assert math.isnan(Estimate.of([0.9]).half_width)
        assert not compare(table(a=[0.9], b=[0.5]), "a", "b").is_clear

    def test_pairing_removes_what_the_seeds_have_in_common(self):
        runs = table(a=[0.80, 0.90, 0.70], b=[0.791, 0.889, 0.69])
        difference = compare(runs, "a", "b")
        assert difference.estimate.mean == pytest.approx(0.01)
        assert difference.is_clear
        assert Estimate.of([0.80, 0.90, 0.70]).half_width > 0.1

    def test_a_difference_within_the_noise_is_not_clear(self):
        assert not compare(table(a=[0.80, 0.90, 0.70], b=[0.90, 0.70, 0.79]), "a", "b").is_clear

    def test_seeds_that_one_model_lacks_do_not_count(self):
        assert compare(table(a=[0.8, 0.9, 0.1], b=[0.7, 0.82]), "a", "b").estimate.count == 2

    def test_swapping_models_changes_the_sign_alone(self):
        runs = table(a=[0.80, 0.90, 0.70], b=[0.85, 0.90, 0.72])
        there, back = compare(runs, "a", "b"), compare(runs, "b", "a")
        assert there.estimate.mean == pytest.approx(-back.estimate.mean)
        assert there.p_value == pytest.approx(back.p_value)

    def test_relative_improvement_by_hand(self):
        assert relative_improvement(table(x=[0.8], dssm=[0.7]), "x").mean == pytest.approx(0.3 / 0.2 - 1)
        assert relative_improvement(table(dssm=[0.7, 0.8]), "dssm").mean == 0

    def test_loads_every_result_with_its_variant(self, bench):
        runner, jobs, _ = bench
        ablation = replace(jobs[0], variant="no_x")
        runner.run([*jobs, ablation], quiet=True)
        runs = load_runs(runner.results)
        assert len(runs) == len(jobs) + 1
        assert sorted(runs["variant"].unique()) == ["", "no_x"]
        assert compare(runs[runs.variant == ""], "lr", "dssm").estimate.count == 2

    def test_loads_what_a_result_says(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs[:1], quiet=True)
        (run,) = load_runs(runner.results).to_dict("records")
        assert {name: run[name] for name in ("protocol", "model", "seed", "best_epoch", "train_seconds")} == {
            "protocol": "holdout",
            "model": "lr",
            "seed": jobs[0].seed,
            "best_epoch": 1,
            "train_seconds": 1.0,
        }
        assert [run[name] for name in ("auc", "logloss", "gauc")] == [0.8, 0.3, 0.7]
        assert [run[f"validation_{name}"] for name in ("auc", "logloss", "gauc")] == [0.85, 0.25, 0.75]
        assert (run["ece"], run["epoch_auc"]) == (0.02, [0.55, 0.65])
        assert run["sources"] == runner.code["sources_sha256"]


@pytest.fixture
def many_runs() -> pd.DataFrame:
    """Three seeds of every model under every protocol, and two of every ablation under `holdout`."""
    grid_of_all = grid("movielens", list(MODELS), list(PROTOCOLS), 3)
    jobs = [*grid_of_all, *ablation_jobs("movielens", ["holdout"], 2, ABLATIONS)]
    return pd.DataFrame(
        {
            **{name: getattr(job, name) for name in ("protocol", "model", "seed", "variant")},
            "auc": 0.8 + place % 97 / 1000,
            "validation_auc": 0.8,
            "best_possible_auc": math.nan,
            "logloss": 0.3,
            "gauc": 0.7,
            "sources": "x",
            "parameters": 1_234_567,
            "best_epoch": 3,
            "train_seconds": 9.6,
        }
        for place, job in enumerate(jobs)
    )


def one_seed(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """(model, variant, AUC), under `published`"""
    runs = pd.DataFrame(rows, columns=["model", "variant", "auc"])
    scores = {"logloss": 0.3, "gauc": 0.7, "parameters": 1_234_567, "train_seconds": 9.6}
    return runs.assign(protocol="published", seed=1023, **scores)


class TestTablesByHand:
    def test_leaderboard(self):
        # RelaImpr .42 / .37 - 1; IntTower's paper has .8974, DSSM's .8697.
        runs = one_seed(("dssm", "", 0.87), ("int_tower", "", 0.92), ("int_tower", "no_cir", 0.99))
        assert tables.leaderboard(runs, "published", "ml-1m").splitlines()[2:] == [
            "| IntTower | two towers | .9200 | .3000 | .7000 | +13.5 % | .8974 (+.0226) | 1.23 M | 10 |",
            "| DSSM | two towers | .8700 | .3000 | .7000 | +0.0 % | .8697 (+.0003) | 1.23 M | 10 |",
        ]

    def test_ablation(self):
        ablation = Ablation("t", "q", "hit", {"no_target": {}, "heads_6": {}})
        runs = one_seed(("hit", "", 0.9), ("hit", "no_target", 0.88), ("dssm", "", 0.5))
        assert ablation_tables.table(runs, ablation, ["published"]).splitlines()[2:] == [
            "| the defaults | .9000 |  |",
            "| no target | .8800 | -.0200 |",
            "| heads 6 |  |  |",
        ]

    def test_audit(self):
        entry = {"protocol": "published", "test_auc": {"two_statistics": 0.875, "membership": 1.0, "both": 1.0}}
        assert tables.audit([entry], one_seed(("hit", "", 0.95))).splitlines()[2:] == [
            "| `published` | .8750 | 1.0000 | .9500 (83%) |"  # .375 / .45
        ]

    def test_audit_of_several_seeds_is_their_mean(self):
        entries = [
            {"protocol": "published", "seed": seed, "test_auc": {"two_statistics": auc, "membership": 1.0}}
            for seed, auc in enumerate((0.86, 0.87, 0.88))  # s = .01, half-width 4.303 s / sqrt(3)
        ]
        assert tables.audit(entries, one_seed(("hit", "", 0.5))).splitlines()[2:] == [
            "| `published` | .8700 ± .0248 | 1.0000 ± .0000 | .5000 |"  # no share of no AUC above .5
        ]


class TestReport:
    def test_every_run_model_is_listed_under_every_protocol(self, many_runs):
        for protocol in PROTOCOLS:
            lines = tables.leaderboard(many_runs, protocol, "ml-1m").splitlines()
            assert {line.split(" | ")[0].removeprefix("| ") for line in lines[2:]} == {
                entry.title for entry in MODELS.values()
            }

    def test_best_model_comes_first(self, many_runs):
        lines = tables.leaderboard(many_runs, "holdout", "ml-1m").splitlines()[2:]
        aucs = [line.split(" | ")[2] for line in lines]
        assert aucs == sorted(aucs, reverse=True)

    def test_the_paper_is_compared_under_its_own_protocol_alone(self, many_runs):
        published, honest = (tables.leaderboard(many_runs, name, "ml-1m") for name in ("published", "holdout"))
        assert "paper" not in honest
        place = published.splitlines()[0].split(" | ").index("paper's AUC (difference)")
        assert sum(line.split(" | ")[place] != "" for line in published.splitlines()[2:]) == 12  # all but GBDT

    def test_seeds_are_counted_where_models_differ_in_them(self, many_runs):
        assert "seeds" not in tables.leaderboard(many_runs, "holdout", "ml-1m")
        assert "seeds" in tables.leaderboard(many_runs.drop(index=0), many_runs["protocol"][0], "ml-1m")

    def test_generated_data_are_called_that(self, many_runs):
        report = full_report(Results("synthetic-movielens", many_runs.assign(best_possible_auc=0.91)))
        assert "say nothing about MovieLens" in report
        assert "planted probabilities reaches AUC .9100" in report
        assert "paper AUC" not in report
        for word in ("say nothing about", "planted"):
            assert word not in full_report(Results("ml-1m", many_runs))

    def test_data_without_a_paper_have_no_column_for_it(self, many_runs):
        assert "paper" not in tables.leaderboard(many_runs, "published", "synthetic-movielens")
        assert "paper" not in tables.overview(many_runs, "synthetic-movielens")

    def test_serving_costs_stand_beside_the_models_that_were_measured(self, many_runs):
        speeds = Speeds(10_000, 1, {"hit": 1293}, {"hit": 0.0911}, {"hit": 0.6, "dcn": 91.37})
        lines = tables.leaderboard(many_runs, "holdout", "ml-1m", speeds).splitlines()
        cells = {line.split(" | ")[0].removeprefix("| "): line.removesuffix(" |").split(" | ")[-2:] for line in lines}
        assert cells["HIT"] == ["1,293", "0.091 / 0.60"]
        assert cells["DCN"] == ["", "- / 91"]
        assert cells["LR"] == ["", ""]
        assert "bytes" not in tables.leaderboard(many_runs, "holdout", "ml-1m")

    def test_models_without_runs_are_left_out(self, many_runs):
        assert "DAT" not in tables.overview(many_runs[many_runs["model"] != "dat"], "ml-1m")

    def test_ablations_show_every_variant_beside_the_defaults(self, many_runs):
        report = full_report(Results("ml-1m", many_runs))
        for ablation in ABLATIONS:
            assert f"## {ablation.title}" in report
            assert ablation.question in report
            for variant in ablation.variants:
                assert f"| {variant.replace('_', ' ')} |" in report

    def test_pictures_are_referred_to_where_they_lie(self, many_runs):
        report = full_report(Results("ml-1m", many_runs), "elsewhere")
        shown = set(re.findall(r'"elsewhere/(\S+?\.png)"', report))
        drawn = pictures_of(many_runs, "ml-1m", [], Speeds())
        assert shown == {f"{name}-{theme}.png" for name in ("ablations", "heads") for theme in ("light", "dark")}
        assert {"ablations", "heads"} <= set(drawn)

    def test_results_of_several_versions_of_the_code_are_called_that(self, many_runs):
        assert "of one version" in full_report(Results("ml-1m", many_runs))
        mixed = many_runs.assign(sources=["x"] * 5 + ["y"] * (len(many_runs) - 5))
        assert "of 2 versions" in full_report(Results("ml-1m", mixed))

    def test_text_outside_the_markers_stays(self, many_runs):
        text = "before\n<!-- results -->\nold\n<!-- /results -->\nafter"
        results = Results("ml-1m", many_runs)
        new = filled(text, results)
        assert new.startswith("before\n<!-- results -->\n|")
        assert new.endswith("|\n<!-- /results -->\nafter")
        assert filled(new, results) == new


class TestAudit:
    @pytest.fixture(scope="class")
    @staticmethod
    def audits():
        raw = random_raw(rows=600, users=20, items=60)
        first = np.unique(raw.user.astype(np.int64) * 60 + raw.item, return_index=True)[1]
        raw = raw.take(np.sort(first))  # nobody rates a movie twice
        return raw, {protocol: audit(raw, protocol, 1)["test_auc"] for protocol in PROTOCOLS}

    def test_membership_in_the_history_is_the_label_where_the_protocol_leaks(self, audits):
        assert audits[1]["published"]["membership"] == 1.0

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_membership_says_nothing_where_it_does_not(self, audits, protocol):
        assert audits[1][protocol]["membership"] == 0.5

    def test_membership_by_a_plain_loop(self, audits):
        split = Dataset.build(audits[0], "published", 1).test
        batch = split.batch(torch.arange(len(split)), ["movie_id", "liked_movies"])
        history, items = batch["liked_movies"], batch["movie_id"].tolist()
        expected = [
            item in history.values[start:end].tolist()
            for item, start, end in zip(items, history.offsets[:-1], history.offsets[1:], strict=True)
        ]
        assert membership(split).tolist() == expected
        assert 0 < sum(expected) < len(expected)

    def test_probes_learn_from_training_rows_alone(self):
        """Here they learn the opposite of what the test rows say."""
        splits = SimpleNamespace(train=SimpleNamespace(labels=[1, 0]), test=SimpleNamespace(labels=[0, 1]))
        assert _auc(splits, np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])) == 0.0

    def test_leaking_statistics_reach_more_than_honest_ones(self, audits):
        assert audits[1]["published"]["two_statistics"] > audits[1]["holdout"]["two_statistics"]
