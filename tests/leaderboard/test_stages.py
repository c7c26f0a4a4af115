"""Models as pre-rankers: what each lets through of a ranking model's best, from trained runs to `stages.json`."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import as_lists, permute_labels, random_raw
from scipy import stats

from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.script import Interrupted
from foundation.errors import InputError
from leaderboard.ablations.variants import shown_variant_jobs
from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import grid
from leaderboard.json_entries import read_entries
from leaderboard.runner import Runner
from leaderboard.stages.agreement import rank_correlation, survivors
from leaderboard.stages.candidates import candidate_scores, candidates, draw_users
from leaderboard.stages.measure import STAGES, best_ranker, measure_stages
from model import MODELS, build_model, load_model
from preprocessing.dataset import Dataset
from preprocessing.encoding import MinMaxScaler
from preprocessing.protocol import PROTOCOLS

RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(7, 40))
TIED = RNG.integers(0, 4, size=(7, 40)).astype(np.float64)

STATISTICS = ("user_mean_rating", "item_mean_rating")


def slow_survivors(ranker, model, top: int, cut: int) -> float:
    """One user at a time, by sorting (score, place in the catalogue)."""
    shares = []
    for left, right in zip(ranker, model, strict=True):
        first, second = (sorted(range(len(scores)), key=lambda item: (-scores[item], item)) for scores in (left, right))
        shares.append(len(set(first[:top]) & set(second[:cut])) / top)
    return float(np.mean(shares))


class TestSurvivors:
    @pytest.mark.parametrize("model", [SCORES[::-1].copy(), TIED], ids=["others", "ties"])
    @pytest.mark.parametrize("ranker", [SCORES, TIED + 0.5 * (SCORES > 0)], ids=["distinct", "ties"])
    def test_equal_the_slow_version(self, ranker, model):
        fast = survivors(ranker, model, top=5, cuts=(3, 8, 20))
        assert fast == {str(cut): pytest.approx(slow_survivors(ranker, model, 5, cut)) for cut in (3, 8, 20)}

    def test_all_survive_a_model_that_orders_as_the_ranker(self):
        assert survivors(SCORES, np.exp(3 * SCORES) + 1, top=5, cuts=(5, 8)) == {"5": 1.0, "8": 1.0}
        assert survivors(TIED, TIED, top=5, cuts=(5,)) == {"5": 1.0}

    def test_none_survive_a_reversed_ranker_until_the_last_candidates(self):
        assert survivors(SCORES, -SCORES, top=5, cuts=(5, 35, 40)) == {"5": 0.0, "35": 0.0, "40": 1.0}

    def test_more_survive_a_later_cut(self):
        shares = list(survivors(SCORES, TIED, top=5, cuts=(1, 5, 10, 20, 40)).values())
        assert shares == sorted(shares)

    def test_a_random_order_keeps_its_share(self):
        ranker, model = (np.random.default_rng(seed).normal(size=(2000, 40)) for seed in (1, 2))
        assert survivors(ranker, model, top=5, cuts=(10,))["10"] == pytest.approx(10 / 40, abs=0.01)


class TestRankCorrelation:
    @pytest.mark.parametrize("other", [SCORES[::-1].copy(), TIED], ids=["distinct", "ties"])
    def test_equals_scipy_user_by_user(self, other):
        expected = np.mean([stats.spearmanr(a, b).statistic for a, b in zip(SCORES, other, strict=True)])
        assert rank_correlation(SCORES, other) == pytest.approx(expected)

    def test_of_the_same_and_of_the_reversed_order(self):
        assert rank_correlation(SCORES, SCORES**3) == pytest.approx(1.0)
        assert rank_correlation(TIED, -TIED) == pytest.approx(-1.0)

    def test_scores_that_are_all_equal_say_nothing(self):
        assert rank_correlation(SCORES, np.zeros_like(SCORES)) == 0.0


class TestCandidates:
    @pytest.fixture(scope="class")
    @staticmethod
    def raw():
        return random_raw(rows=400, users=12, items=15)

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_a_pair_has_the_features_of_its_test_row(self, raw, protocol):
        data = Dataset.build(raw, protocol, 1)
        names = [column.name for column in data.feature_columns(history=True).all]
        pairs = candidates(data, np.arange(12)).batch(torch.arange(12 * 15), names)
        rows = data.test.batch(torch.arange(len(data.test)), names)
        place = data.test.users.long() * 15 + data.item[data.test.rows]
        for name in names:
            of_pairs = as_lists(pairs[name])
            assert [of_pairs[pair] for pair in place] == as_lists(rows[name]), name

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_no_test_label_is_seen_but_in_the_scale_of_the_published_statistics(self, raw, protocol):
        """Under `published` mean labels are scaled by the range that they have on the test rows."""
        data = Dataset.build(raw, protocol, 1)
        other = Dataset.build(permute_labels(raw, data.protocol.splits["test"], 0), protocol, 1)
        names = [column.name for column in data.feature_columns(history=True).all]
        seen = []
        for one in (data, other):
            batch = candidates(one, np.arange(12)).batch(torch.arange(180), names)
            own = {name: as_lists(batch[name]) for name in names if name not in STATISTICS}
            for name in STATISTICS:
                scaler = one.scalers.get(name, MinMaxScaler(0.0, 1.0))
                means = scaler.low + (scaler.high - scaler.low) * np.array(as_lists(batch[name]))
                own[name] = means.round(6).tolist()
            seen.append(own)
        assert seen[0] == seen[1]

    @pytest.mark.parametrize("name", ["dssm", "int_tower", "hit", "deep_fm"])
    def test_scores_are_those_of_single_pairs(self, raw, name):
        data = Dataset.build(raw, "holdout", 1)
        model = build_model(name, data.feature_columns(4, history=MODELS[name].history), seed=1, init_std=0.5)
        users = np.array([2, 5])
        requests = candidates(data, users)
        scores = candidate_scores(model, requests)
        assert scores.shape == (2, 15)
        for row in (0, 7, 29):
            alone = model.predict(requests.take(torch.tensor([row])))[0, 0]
            assert 1 / (1 + np.exp(-scores[row // 15, row % 15])) == pytest.approx(alone, abs=1e-6)

    def test_users_are_drawn_by_the_seed_among_those_with_test_rows(self, raw):
        few = raw.take(np.flatnonzero(raw.user != 3))
        data = Dataset.build(few, "holdout", 1)
        assert 3 not in draw_users(data, 100)
        assert draw_users(data, 5).tolist() == draw_users(data, 5).tolist()
        drawn = {tuple(draw_users(Dataset.build(few, "holdout", seed), 5)) for seed in range(5)}
        assert len(drawn) > 1
        assert all(len(set(users)) == 5 for users in drawn)


MODELS_RUN = ["lr", "deep_fm", "dssm"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Trained runs of three models, filed as results; two of them can be rankers."""
    root = tmp_path_factory.mktemp("bench")
    raw = random_raw(rows=500, users=12, items=300)
    runner = Runner(root / "results" / "toy", root / "runs", None)
    jobs = [replace(job, arguments=("--epoch", "1")) for job in grid(MOVIELENS, MODELS_RUN, ["holdout"], seeds=1)]
    for job in jobs:
        train(job, runner, raw)
    runner.run(jobs, quiet=True)  # they are there, and filed
    return raw, runner, jobs


def train(job, runner, raw, *more: str) -> None:
    words = [*job.options, "--out", str(runner.run_folder(job)), "--quiet", *more]
    options = parse_options("movielens", None, words)
    data = Dataset.build(raw, job.protocol, job.seed)
    columns = data.feature_columns(options.embedding_dim)
    arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
    model = build_model(job.model, columns, seed=job.seed, **arguments)
    model.compile("adam", metrics=["auc", "logloss", "gauc"], lr=options.lr)
    train_and_report(lambda data: model, data, options, 0.0)


@pytest.fixture
def bench(trained, tmp_path):
    """The same in a folder of this test's own, and where its stages go."""
    raw, runner, jobs = trained
    root = tmp_path / "copy"
    shutil.copytree(runner.runs.parent, root)
    runner = replace(runner, results=root / "results" / "toy", runs=root / "runs")
    return raw, runner, jobs, runner.results / STAGES


def test_the_ranker_is_the_ranking_model_of_the_best_validation_auc():
    assert best_ranker({"dssm": 0.99, "lr": 0.7, "dcn": 0.9, "deep_fm": 0.8}) == "dcn"
    assert best_ranker({"dssm": 0.99}) is None


def validation_aucs(results: dict[str, dict]) -> dict[str, float]:
    return {name: result["validation"]["auc"] for name, result in results.items()}


class TestMeasureStages:
    def test_measures_every_model_but_the_ranker_as_the_definition_says(self, bench):
        raw, runner, jobs, path = bench
        entries = measure_stages(raw, jobs, runner, path, quiet=True)
        results = {job.model: json.loads(runner.result_path(job).read_text()) for job in jobs}
        ranker = best_ranker(validation_aucs(results))
        assert ranker in ("lr", "deep_fm")
        assert {entry["model"] for entry in entries} == set(MODELS_RUN) - {ranker}
        assert entries == read_entries(path)

        data = Dataset.build(raw, "holdout", jobs[0].seed)
        users = np.unique(raw.user[data.protocol.splits["test"]])
        requests = candidates(data, users)
        by_hand = {
            job.model: load_model(runner.run_folder(job)).predict(requests)[:, 0].reshape(len(users), 300)
            for job in jobs
        }
        for entry in entries:
            assert (entry["ranker"], entry["users"], entry["items"]) == (ranker, len(users), 300)
            for cut in (200, 400, 800):
                slow = slow_survivors(by_hand[ranker], by_hand[entry["model"]], 100, cut)
                assert entry["survivors"][str(cut)] == pytest.approx(slow, abs=0.01)  # logits tie less
            assert entry["survivors"]["400"] == 1.0  # more than there are items
            assert entry["code"] == runner.code
            assert entry["command"] == (
                f"python benchmark.py --stages --models {entry['model']} --protocols holdout --seeds 1"
            )

    def test_a_form_is_measured_under_its_own_name(self, bench):
        raw, runner, jobs, path = bench
        (form,) = shown_variant_jobs(MOVIELENS, ["int_tower"], ["holdout"], 1)
        form = replace(form, arguments=("--epoch", "1", *form.arguments))
        train(form, runner, raw)
        runner.run([form], quiet=True)
        entries = {entry["model"]: entry for entry in measure_stages(raw, [*jobs, form], runner, path, quiet=True)}
        assert len(entries) == 3
        entry = entries["int_tower 1 head"]
        assert entry["test_auc"] == runner.result(form)["test"]["auc"]
        assert "--models int_tower --protocols" in entry["command"]
        shutil.rmtree(runner.run_folder(form))
        assert len(measure_stages(raw, [*jobs, form], runner, path, quiet=True)) == 3  # nothing to measure again
        path.unlink()
        with pytest.raises(InputError, match=r"(?s)1 results have .*/int_tower/heads_1/seed1023.*--models int_tower "):
            measure_stages(raw, [*jobs, form], runner, path, quiet=True)

    def test_what_is_there_is_kept_and_not_repeated(self, bench, monkeypatch):
        raw, runner, jobs, path = bench
        first = measure_stages(raw, jobs[:1] + jobs[2:], runner, path, quiet=True)
        before = path.read_bytes()
        monkeypatch.setattr("leaderboard.stages.measure.candidate_scores", None)
        assert measure_stages(raw, jobs[:1] + jobs[2:], runner, path, quiet=True) == first
        assert path.read_bytes() == before

    def test_a_newer_run_is_measured_again(self, bench):
        raw, runner, jobs, path = bench
        measure_stages(raw, jobs, runner, path, quiet=True)
        dssm = jobs[-1]
        shutil.rmtree(runner.run_folder(dssm))
        runner.result_path(dssm).unlink()
        jobs = [*jobs[:-1], replace(dssm, arguments=(*dssm.arguments, "--lr", "0.03"))]
        train(jobs[-1], runner, raw)
        runner.run(jobs, quiet=True)
        before = {entry["model"]: entry for entry in read_entries(path)}
        after = {entry["model"]: entry for entry in measure_stages(raw, jobs, runner, path, quiet=True)}
        assert {name for name in after if after[name] != before[name]} == {"dssm"}

    def test_a_run_folder_that_is_gone_is_named_and_costs_no_entry(self, bench):
        raw, runner, jobs, path = bench
        measure_stages(raw, jobs, runner, path, quiet=True)
        entries = [entry for entry in read_entries(path) if entry["model"] != "dssm"]
        path.write_text(json.dumps(entries))
        shutil.rmtree(runner.run_folder(jobs[-1]))
        with pytest.raises(InputError, match=r"(?s)1 results have no .*holdout/dssm/seed1023.json.*--models dssm --pr"):
            measure_stages(raw, jobs, runner, path, quiet=True)
        assert read_entries(path) == entries

    def test_without_the_ranker_nothing_of_its_seed_is_measured(self, bench):
        raw, runner, jobs, path = bench
        results = {job.model: json.loads(runner.result_path(job).read_text()) for job in jobs}
        ranker = next(job for job in jobs if job.model == best_ranker(validation_aucs(results)))
        shutil.rmtree(runner.run_folder(ranker))
        with pytest.raises(InputError, match=rf"(?s)1 results have no .*/{ranker.model}/seed1023"):
            measure_stages(raw, jobs, runner, path, quiet=True)
        assert read_entries(path) == []

    def test_all_that_is_missing_is_said_at_once(self, bench):
        raw, runner, jobs, path = bench
        shutil.rmtree(runner.runs)
        with pytest.raises(InputError, match=r"(?s)3 results have no .*--models deep_fm dssm lr --protocols holdout"):
            measure_stages(raw, jobs, runner, path, quiet=True)

    def test_a_folder_that_holds_another_run_is_refused(self, bench):
        raw, runner, jobs, path = bench
        shutil.rmtree(runner.run_folder(jobs[-1]))
        train(jobs[-1], runner, raw, "--lr", "0.03")
        with pytest.raises(InputError, match="1 results have no trained model of theirs"):
            measure_stages(raw, jobs, runner, path, quiet=True)

    def test_no_results(self, bench):
        raw, runner, _, path = bench
        with pytest.raises(InputError, match=r"Run benchmark\.py without --stages first"):
            measure_stages(raw, grid(MOVIELENS, ["lr"], ["temporal"], 1), runner, path, quiet=True)

    def test_other_data(self, bench):
        raw, runner, jobs, path = bench
        with pytest.raises(InputError, match="is about other data"):
            measure_stages(replace(raw, fingerprint="f" * 64), jobs, runner, path, quiet=True)

    def test_a_result_of_another_command_is_refused(self, bench):
        raw, runner, jobs, path = bench
        others = [*jobs[:-1], replace(jobs[-1], arguments=("--epoch", "2"))]
        with pytest.raises(InputError, match=r"holdout/dssm/seed1023\.json is the result of another command"):
            measure_stages(raw, others, runner, path, quiet=True)

    def test_what_was_measured_before_ctrl_c_is_kept(self, bench, monkeypatch):
        raw, runner, jobs, path = bench
        calls = []

        def interrupted(*arguments):
            calls.append(arguments)
            if len(calls) == 3:  # after the ranker and a model
                raise KeyboardInterrupt
            return candidate_scores(*arguments)

        monkeypatch.setattr("leaderboard.stages.measure.candidate_scores", interrupted)
        with pytest.raises(Interrupted, match=rf"^Interrupted\. {path} has 1 entries; the same command goes on\.$"):
            measure_stages(raw, jobs, runner, path, quiet=True)
        (kept,) = read_entries(path)
        monkeypatch.undo()
        entries = measure_stages(raw, jobs, runner, path, quiet=True)
        assert kept in entries
        assert len(entries) == 2

    def test_a_damaged_file_is_refused(self, bench):
        raw, runner, jobs, path = bench
        path.write_text("[{")
        with pytest.raises(InputError, match="is not valid JSON"):
            measure_stages(raw, jobs, runner, path, quiet=True)
        assert path.read_text() == "[{"
