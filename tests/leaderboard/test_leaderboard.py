"""Runs of a benchmark: what is missing is run, what is there is kept, and the statistics over it."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import random_raw
from report_helpers import rows_of, typed
from runner_helpers import make_bench
from scipy import stats

from benchmarks.latency import SHAPES
from experiment.options import parse_options
from leaderboard.ablations.tables import ablation_table, label
from leaderboard.ablations.variants import ABLATIONS, Ablation, ablation_jobs, shown_variant_jobs
from leaderboard.audit import explained_table, probes_table
from leaderboard.board import Results
from leaderboard.data_sets import MOVIELENS, PUBLISHED
from leaderboard.entrants import ENTRANTS, SHOWN_VARIANTS, title
from leaderboard.estimates import Estimate, compare, compare_apart, holm, paired_p_value, relative_improvement
from leaderboard.grid.tables import costs_table, leaderboard_table, overview_table
from leaderboard.jobs import Job, grid
from leaderboard.ladder.rungs import ladder_jobs
from leaderboard.markdown import difference_text
from leaderboard.pages import filled, plain_report
from leaderboard.prose import Numbers
from leaderboard.results import load_runs
from leaderboard.settings import arguments_of
from leaderboard.speed import Speeds
from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS


@pytest.fixture
def bench(tmp_path):
    return make_bench(tmp_path)


CHANGED = ablation_jobs(MOVIELENS, ["holdout"], 1, ABLATIONS)


class TestAblations:
    def test_names_and_places_are_distinct(self):
        jobs = ablation_jobs(MOVIELENS, list(PROTOCOLS), 2, ABLATIONS)
        jobs += [job for job in ladder_jobs(list(MODELS), 2) if job.variant]
        assert len({job.place for job in jobs}) == len(jobs)
        assert not {job.place for job in jobs} & {job.place for job in grid(MOVIELENS, list(MODELS), PROTOCOLS, 2)}

    @pytest.mark.parametrize("job", CHANGED, ids=lambda job: f"{job.model}-{job.variant}")
    def test_each_builds_another_model_or_trains_otherwise(self, job: Job):
        name = ["--model_name", job.model]
        default, changed = (parse_options("movielens", None, [*name, *more]) for more in ([], job.arguments))
        assert default != changed
        columns = Dataset.build(random_raw(), "holdout", 1).feature_columns(4, history=MODELS[job.model].history)
        build_model(job.model, columns, **changed.model_arguments)

    def test_shown_variants_are_the_ablations_runs_with_one_head(self):
        forms = shown_variant_jobs(MOVIELENS, ["dssm", "hit", "int_tower"], ["temporal", "holdout"], 2)
        assert {(job.model, job.variant, job.arguments) for job in forms} == {
            ("int_tower", "heads_1", ("--set", "user_head=1", "--set", "item_head=1")),
            ("hit", "heads_1", ("--set", "num_heads=1")),
        }
        assert len({job.place for job in forms}) == len(forms) == 8
        assert set(forms) <= set(ablation_jobs(MOVIELENS, ["temporal", "holdout"], 2, ABLATIONS))
        assert shown_variant_jobs(MOVIELENS, ["dssm"], ["holdout"], 2) == []

    @pytest.mark.parametrize("name", SHOWN_VARIANTS)
    def test_shown_variants_are_timed_with_the_settings_that_are_trained(self, name):
        model, settings = SHAPES[name]
        (job,) = shown_variant_jobs(MOVIELENS, [model], ["holdout"], 1)
        assert arguments_of(settings) == job.arguments

    def test_jobs_run_the_script_of_the_data_set(self):
        words = {job.command(None)[1] for job in ablation_jobs(PUBLISHED["taobao"], ["holdout"], 1, ABLATIONS)}
        assert words == {"train_taobao_whole_models.py"}


def table(**aucs) -> pd.DataFrame:
    """Runs of models with these AUCs under seeds 0, 1, ..."""
    return pd.DataFrame(
        [{"model": name, "seed": seed, "auc": auc} for name, values in aucs.items() for seed, auc in enumerate(values)]
    )


class TestStatistics:
    def test_interval_by_hand(self):
        estimate = Estimate.from_values([0.1, 0.2, 0.3])  # s = 0.1, t(0.975, 2) = 4.3027, over sqrt(3)
        assert estimate.mean == pytest.approx(0.2)
        assert estimate.half_width == pytest.approx(0.24841, abs=1e-5)

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

    @pytest.mark.parametrize("seeds", [1, 2])
    def test_fewer_than_three_seeds_have_no_interval_no_p_and_no_clear_difference(self, seeds):
        first, second = [0.9, 0.91][:seeds], [0.5, 0.51][:seeds]
        assert math.isnan(Estimate.from_values(first).half_width)
        for difference in (compare(table(a=first, b=second), "a", "b"), compare_apart(first, second)):
            assert (difference.is_clear, math.isnan(difference.p_value)) == (False, True)
            assert difference_text(difference) == "+0.4000"
        assert compare(table(a=[*first, 0.9, 0.92], b=[*second, 0.5, 0.52]), "a", "b").is_clear

    @pytest.mark.parametrize("seed", range(5))
    def test_holm_equals_the_plain_loop_over_the_ordered_tests(self, seed):
        values = np.random.default_rng(seed).uniform(0, 0.1, 7)
        ordered = sorted(values)
        for place, value in enumerate(values):
            smaller = [min(1.0, (7 - rank) * each) for rank, each in enumerate(ordered) if each <= value]
            assert holm(values.tolist())[place] == max(smaller)

    def test_pairing_removes_what_the_seeds_have_in_common(self):
        runs = table(a=[0.80, 0.90, 0.70], b=[0.791, 0.889, 0.69])
        difference = compare(runs, "a", "b")
        assert difference.estimate.mean == pytest.approx(0.01)
        assert difference.is_clear
        assert Estimate.from_values([0.80, 0.90, 0.70]).half_width > 0.1

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

    def test_relative_improvement_leaves_out_seeds_whose_baseline_ranks_at_random(self):
        runs = table(x=[0.8, 0.9], dssm=[0.7, 0.5])
        improvement = relative_improvement(runs, "x")
        assert (improvement.mean, improvement.count) == (pytest.approx(0.3 / 0.2 - 1), 1)
        assert relative_improvement(table(x=[0.8], dssm=[0.5]), "x").count == 0

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
    """Three seeds of every entrant under every protocol, and two of every ablation under `holdout`."""
    every = MOVIELENS, list(MODELS), list(PROTOCOLS), 3
    jobs = dict.fromkeys(
        grid(*every) + shown_variant_jobs(*every) + ablation_jobs(MOVIELENS, ["holdout"], 2, ABLATIONS)
    )
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
        runs = pd.concat([runs, one_seed(("int_tower", "heads_1", 0.87))])
        assert typed(leaderboard_table(runs, "published", "ml-1m")).splitlines()[2:] == [
            "| IntTower | 0.9200 | 0.3000 | 0.7000 | +13.5 % | 0.8974 |",
            "| DSSM | 0.8700 | 0.3000 | 0.7000 | +0.0 % | 0.8697 |",
            "| IntTower (1 head) | 0.8700 | 0.3000 | 0.7000 | +0.0 % |  |",
            "",
            "Seeds: 1.",
        ]

    def test_a_baseline_that_ranks_at_random_has_no_share_and_is_none(self):
        runs = one_seed(("dssm", "", 0.5), ("hit", "", 0.95))
        assert "%" not in leaderboard_table(runs, "published", "ml-1m")
        entry = {
            "protocol": "published",
            "seed": 1023,
            "test_auc": {"two_statistics": 0.875, "membership": 1.0, "both": 1.0},
        }
        assert rows_of(explained_table([entry], runs)) == ["| HIT | 83.3 % |"]

    def test_ablation(self):
        ablation = Ablation("t", "hit", {"no_target": {}, "heads_6": {}})
        runs = one_seed(("hit", "", 0.9), ("hit", "no_target", 0.88), ("dssm", "", 0.5))
        assert ablation_table(runs, ablation).splitlines()[2:] == [
            "| the defaults | 0.9000 |  |",
            "| no target generators | 0.8800 | -0.0200 |",
            "| heads 6 |  |  |",
        ]

    def test_audit(self):
        entry = {
            "protocol": "published",
            "seed": 1023,
            "test_auc": {"two_statistics": 0.875, "membership": 1.0, "both": 1.0},
        }
        runs = one_seed(("hit", "", 0.95))
        assert rows_of(probes_table([entry], runs)) == ["| `published` | 0.8750 | 1.0000 | 0.9500 |"]
        assert rows_of(explained_table([entry], runs)) == ["| HIT | 83.3 % |"]  # 0.375 / .45

    def test_audit_of_several_seeds_is_their_mean(self):
        entries = [
            {"protocol": "published", "seed": seed, "test_auc": {"two_statistics": auc, "membership": 1.0}}
            for seed, auc in enumerate((0.86, 0.87, 0.88), 1023)  # s = .01, half-width 4.303 s / sqrt(3)
        ]
        runs = one_seed(("hit", "", 0.5))
        assert rows_of(probes_table(entries, runs)) == [
            "| `published` | 0.8700 ± 0.0248 | 1.0000 | 0.5000 |"  # no seed changes the 1
        ]
        assert explained_table(entries, runs) == ""  # no share of no AUC above .5

    def test_how_much_of_every_model_the_statistics_reach_over_the_seeds_that_both_have(self):
        entries = [
            {"protocol": "published", "seed": seed, "test_auc": {"two_statistics": auc, "membership": 1.0}}
            for seed, auc in ((1023, 0.86), (1024, 0.88), (1026, 0.87), (1025, 0.99))
        ]
        scores = [("dssm", 1024, 0.88), ("dssm", 7, 0.6), ("lr", 1023, 0.5)]
        scores += [("hit", seed, 0.95) for seed in (1023, 1024, 1026)]
        runs = pd.DataFrame(scores, columns=["model", "seed", "auc"]).assign(protocol="published", variant="")
        # .36 / .45 = .8, .38 / .45 = .8444, .37 / .45 = .8222; t(.975, 2) = 4.303 times s / sqrt(3) = .01283
        assert typed(explained_table(entries, runs)).splitlines() == [
            "| model | `published` |",
            "| --- | --: |",
            "| DSSM | 100.0 % |",
            "| HIT | 82.2 ± 5.5 % |",
        ]
        assert explained_table(entries, runs.assign(protocol="holdout")) == ""


class TestReport:
    def test_every_entrant_is_listed_under_every_protocol(self, many_runs):
        for protocol in PROTOCOLS:
            lines = rows_of(leaderboard_table(many_runs, protocol, "ml-1m"))
            assert {line.split(" | ")[0].removeprefix("| ") for line in lines} == set(map(title, ENTRANTS))

    def test_best_model_comes_first(self, many_runs):
        aucs = [line.split(" | ")[1] for line in rows_of(leaderboard_table(many_runs, "holdout", "ml-1m"))]
        assert aucs == sorted(aucs, reverse=True)

    def test_the_paper_is_compared_under_its_own_protocol_alone(self, many_runs):
        published, honest = (leaderboard_table(many_runs, name, "ml-1m") for name in ("published", "holdout"))
        assert "paper" not in honest
        assert published.splitlines()[0].endswith("| paper's AUC |")
        assert sum(not line.endswith("|  |") for line in rows_of(published)) == 12  # all but GBDT

    def test_seeds_are_counted_where_models_differ_in_them(self, many_runs):
        assert leaderboard_table(many_runs, "holdout", "ml-1m").endswith("\n\nSeeds: 3.")
        fewer = leaderboard_table(many_runs.drop(index=0), many_runs["protocol"][0], "ml-1m")
        assert fewer.endswith(f"\n\nSeeds: 3, but 2 for {title(many_runs['model'][0])}.")

    def test_generated_data_are_called_that(self, many_runs):
        report = plain_report(Results("synthetic-movielens", many_runs.assign(best_possible_auc=0.91)))
        assert "say nothing about real data" in report
        assert "planted probabilities reaches AUC 0.9100" in report
        assert "paper's AUC" not in report
        real = plain_report(Results("ml-1m", many_runs))
        assert "paper's AUC" in real
        for word in ("say nothing about", "planted"):
            assert word not in real

    def test_data_without_a_paper_have_no_column_for_it(self, many_runs):
        assert "paper" not in leaderboard_table(many_runs, "published", "synthetic-movielens")
        assert "paper" not in overview_table(many_runs, "synthetic-movielens")

    def test_serving_costs_stand_beside_the_models_that_were_measured(self, many_runs):
        speeds = Speeds(10_000, 1, {"hit": 1293}, {"hit": 0.0911}, {"hit": 0.6, "dcn": 91.37})
        lines = typed(costs_table(many_runs, speeds)).splitlines()
        costs = "parameters | training, s (`holdout`) | bytes an item | scoring, ms | request, ms"
        assert lines[0] == f"| model | kind | {costs} |"
        assert "| HIT | two towers | 1.23 M | 10 | 1,293 | 0.091 | 0.60 |" in lines
        assert "| DCN | ranking | 1.23 M | 10 |  |  | 91 |" in lines
        assert "| LR | ranking | 1.23 M | 10 |  |  |  |" in lines
        assert len(lines) == 2 + len(ENTRANTS)
        assert "ms" not in costs_table(many_runs, Speeds())

    def test_training_times_are_of_the_honest_protocol_where_it_has_run(self, many_runs):
        slower = many_runs.assign(train_seconds=[9 if name == "holdout" else 70 for name in many_runs["protocol"]])
        assert "| LR | ranking | 1.23 M | 9 |" in typed(costs_table(slower, Speeds()))
        published = slower[slower["protocol"] == "published"]
        assert "| LR | ranking | 1.23 M | 70 |" in typed(costs_table(published, Speeds()))
        assert costs_table(many_runs[:0], Speeds()) == ""

    def test_models_without_runs_are_left_out(self, many_runs):
        assert "DAT" not in overview_table(many_runs[many_runs["model"] != "dat"], "ml-1m")

    def test_ablations_show_every_variant_beside_the_defaults(self, many_runs):
        tables = Results("ml-1m", many_runs).tables()
        for ablation in ABLATIONS:
            if not ablation.group:
                shown = tables[f"ablation {ablation.title}"]
                assert all(f"| {label(variant)} |" in shown for variant in ablation.variants)

    def test_pictures_are_referred_to_where_they_lie(self, many_runs):
        results = Results("ml-1m", many_runs)
        shown = set(re.findall(r'"figure/(\S+?\.png)"', plain_report(results)))
        assert shown == {f"{name}-{theme}.png" for name in results.pictures() for theme in ("light", "dark")}
        assert {"ablations", "heads"} <= set(results.pictures())

    def test_results_of_several_versions_of_the_code_are_called_that(self, many_runs):
        mixed = many_runs.assign(sources=["x"] * 5 + ["y"] * (len(many_runs) - 5))
        proof = {"before": {"names": ["x"]}, "after": {"names": ["y"]}}
        for runs, links, said in (
            (many_runs, [], "of one version"),
            (mixed, [], "of 2 versions"),
            (mixed, [proof], "of one version"),
        ):
            assert said in Results("ml-1m", runs, links=links).tables()["provenance"]

    @pytest.mark.parametrize("old", ["old\n", ""])
    def test_text_outside_the_markers_stays(self, many_runs, old):
        text = f"before\n<!-- results -->\n{old}<!-- /results -->\nafter"
        results = Results("ml-1m", many_runs)
        new = filled(text, results.tables(), Numbers(results))
        assert new.startswith("before\n<!-- results -->\n|")
        assert new.endswith("|\n<!-- /results -->\nafter")
        assert filled(new, results.tables(), Numbers(results)) == new
