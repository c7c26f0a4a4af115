"""The tuning: every model has its six trials, validation alone decides, and what has run is not run again."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from runner_helpers import LEAVE

import benchmark
from experiment.options import parse_options
from experiment.script import Interrupted, run
from foundation.errors import InputError
from leaderboard.data_sets import MOVIELENS
from leaderboard.jobs import grid
from leaderboard.results import load_runs
from leaderboard.runner import Runner
from leaderboard.tuning.run import TUNING, Outcome, follow, load_tuned, read, tune
from leaderboard.tuning.tables import searches_table, tuning_table
from leaderboard.tuning.trials import SEARCHES, TRIALS, Search, Trial, chain
from model import MODELS, default_settings
from model.base import CTRModel

ROOT = Path(__file__).resolve().parents[2]
TUNED = load_tuned(ROOT / "results" / "ml-1m" / TUNING)


def followed(model: str, aucs) -> tuple[list[Trial], dict | None]:
    """A model's trials, and what is chosen, if they have these AUCs one after another."""
    aucs = iter(aucs)
    tuned = follow(model, lambda _: (auc := next(aucs, None)) and Outcome(auc, "x"))
    return [trial for trial, _ in tuned.trials], tuned.chosen


def random_trials(model: str, seed: int) -> list[Trial]:
    return followed(model, np.random.default_rng(seed).uniform(0.5, 1.0, TRIALS))[0]


class TestTrials:
    def test_every_model_with_a_published_result_has_them_and_trees(self):
        assert {name for name, entry in MODELS.items() if entry.paper} | {"gbdt"} <= SEARCHES.keys() <= MODELS.keys()

    @pytest.mark.parametrize("model", SEARCHES)
    def test_four_under_holdout_then_two_under_temporal(self, model):
        assert [trial.protocol for trial in random_trials(model, 0)] == ["holdout"] * 4 + ["temporal"] * 2

    @pytest.mark.parametrize("model", SEARCHES)
    def test_a_command_line_says_exactly_the_settings_whichever_trial_wins(self, model):
        for seed in range(10):
            for trial in random_trials(model, seed):
                options = parse_options("movielens", None, trial.job.options)
                said = {**vars(options), **options.model_arguments, "dnn_dropout": options.dropout}
                assert {name: said[name] for name in trial.settings} == trial.settings

    @pytest.mark.parametrize("model", SEARCHES)
    def test_no_setting_is_left_to_the_defaults(self, model):
        without = {"lr": {"embedding_dim"}, "gbdt": {"embedding_dim", "batch_size"}}.get(model, set())
        assert default_settings(model, "movielens").keys() - without <= SEARCHES[model].base.keys()

    @pytest.mark.parametrize("model", SEARCHES)
    def test_other_settings_have_another_place(self, model):
        every = [trial for seed in range(10) for trial in random_trials(model, seed)]
        places = {trial.job.place: trial.settings for trial in every}
        assert all(places[trial.job.place] == trial.settings for trial in every)

    def test_the_same_for_every_model_with_towers(self):
        searches = [search for search in SEARCHES.values() if "dnn_dropout" in search.base]
        shared = set.intersection(*(set(search.base) for search in searches))
        for search in searches:
            assert {name: search.base[name] for name in shared} == {name: searches[0].base[name] for name in shared}
            assert (search.first, search.then[0], search.temporal) == (
                searches[0].first,
                searches[0].then[0],
                searches[0].temporal,
            )


class TestChain:
    def test_by_hand(self):
        aucs = [0.81, 0.83, 0.80, 0.85, 0.72, 0.71]
        tried, chosen = followed("int_tower", aucs)
        changed = [SEARCHES["int_tower"].changed(trial.settings) for trial in tried]
        best = {"l2_reg_embedding": 1e-4, "cir_weight": 0.05, "cir_temperature": 0.2}
        assert changed == [
            {},
            {"l2_reg_embedding": 1e-4},
            {"l2_reg_embedding": 1e-4, "lr": 1e-3},
            best,
            best,
            best | {"unknown_rate": 0.1},
        ]
        assert SEARCHES["int_tower"].changed(chosen) == best

    def test_the_other_protocol_decides_its_own_setting_alone(self):
        _, chosen = followed("dssm", [0.9] * 4 + [0.6, 0.7])
        assert SEARCHES["dssm"].changed(chosen) == {"unknown_rate": 0.1}

    def test_of_equals_the_first_stays(self):
        assert followed("dcn", [0.8] * TRIALS)[1] == SEARCHES["dcn"].base

    def test_nothing_is_chosen_before_the_last_trial(self):
        tried, chosen = followed("dcn", [0.8] * (TRIALS - 1))
        assert (len(tried), chosen) == (TRIALS - 1, None)

    def test_settings_of_the_chain_are_not_those_of_the_table(self):
        next(chain("hit")).settings["alpha"] = 9.0
        assert SEARCHES["hit"].base["alpha"] == 0.1


SCRIPT = (
    LEAVE
    + """
words = sys.argv[1:]
given = dict(zip(words[::2], words[1::2]))
settings = [second for first, second in zip(words, words[1:]) if first == "--set"]
with open(given["--data_path"], "a") as calls:
    print(given["--model_name"], given["--protocol"], given["--lr"], *settings, file=calls)
if given["--model_name"] == "cold" and given["--dropout"] == "0.1":
    sys.exit("error: it broke")
out = pathlib.Path(given["--out"])
out.mkdir(parents=True, exist_ok=True)
auc = 0.8 + 0.01 * ("l2_reg_embedding=0.0001" in settings) + 0.01 * ("unknown_rate=0.1" in settings)
result = dict(protocol=given["--protocol"], model=given["--model_name"], seed=int(given["--seed"]), parameters=1,
              best_epoch=1, test={"auc": 1 - auc, "logloss": 1, "gauc": 1 - auc},
              validation={"auc": auc, "logloss": 1, "gauc": auc}, seconds={"train": 1.0},
              threads=int(os.environ["OMP_NUM_THREADS"]))
leave(out, result, "epoch,auc\\n1,0.5\\n")
"""
)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A runner on a stand-in script that finds test better where validation is worse, and what that was called with."""
    script, calls = tmp_path / MOVIELENS.script, tmp_path / "calls.txt"
    script.write_text(SCRIPT)
    calls.write_text("")
    monkeypatch.setattr("leaderboard.runner.ROOT", tmp_path)  # where the scripts are
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    runner = Runner(tmp_path / "results" / "toy" / TUNING, tmp_path / "runs", str(calls), workers=2)
    return runner, lambda: calls.read_text().splitlines()


class TestRuns:
    def test_validation_decides_and_test_does_not(self, bench):
        runner, calls = bench
        tuned = tune(runner, ["dcn", "dssm"], quiet=True)
        assert [entry.model for entry in tuned] == ["dssm", "dcn"]
        assert len(calls()) == 2 * TRIALS
        for entry in tuned:
            assert SEARCHES[entry.model].changed(entry.chosen) == {"l2_reg_embedding": 1e-4, "unknown_rate": 0.1}

    def test_what_has_run_is_read_and_not_run_again(self, bench):
        runner, calls = bench
        first = tune(runner, ["dcn"], quiet=True)
        assert load_tuned(runner.results) == first == tune(runner, ["dcn"], quiet=True)
        assert len(calls()) == TRIALS

    def test_goes_on_where_it_stopped(self, bench):
        runner, calls = bench
        whole = tune(runner, ["dcn"], quiet=True)
        last = whole[0].trials[-1][0]
        (runner.results / last.job.file).unlink()
        assert load_tuned(runner.results)[0].chosen is None
        assert len(load_tuned(runner.results)[0].trials) == TRIALS - 1
        assert tune(runner, ["dcn"], quiet=True) == whole
        assert len(calls()) == TRIALS  # its run folder was still there

    def test_a_trial_that_equals_an_earlier_one_is_not_run_twice(self, bench, monkeypatch):
        runner, calls = bench
        base = SEARCHES["gbdt"].base
        same = {"lr": base["lr"]}
        monkeypatch.setitem(SEARCHES, "gbdt", Search(base, (same, same), ({}, {"lr": 0.2}), ({}, same)))
        (tuned,) = tune(runner, ["gbdt"], quiet=True)
        assert len(calls()) == 3
        assert len(tuned.trials) == TRIALS

    def test_a_failing_trial_ends_its_model_alone(self, bench):
        runner, calls = bench
        with pytest.raises(InputError, match=r"(?s)tuning of 1 of 2 models stopped.*--model_name cold.*it broke"):
            tune(runner, ["cold", "dcn"], quiet=True)
        assert sum(call.startswith("dcn") for call in calls()) == TRIALS
        assert [len(entry.trials) for entry in load_tuned(runner.results)] == [3, TRIALS]

    def test_the_result_of_another_command_is_refused(self, bench):
        runner, _ = bench
        (tuned,) = tune(runner, ["dcn"], quiet=True)
        trial = tuned.trials[3][0]
        path = runner.results / trial.job.file
        path.write_text(json.dumps(json.loads(path.read_text()) | {"arguments": ["script.py", "--lr", "7"]}))
        with pytest.raises(InputError, match="the result of another command"):
            read(runner.results, trial)

    def test_on_ctrl_c_it_is_said_what_was_saved_and_no_other_trial_begins(self, bench, monkeypatch):
        runner, calls = bench

        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setattr("leaderboard.tuning.run.as_completed", interrupted)
        with pytest.raises(Interrupted, match=rf"What had finished is in {runner.results}\. The same command goes on"):
            tune(runner, ["dcn"], quiet=True)
        assert len(calls()) <= 1  # the one that was under way

    def test_a_model_without_trials_is_named(self, bench):
        with pytest.raises(InputError, match="No trials are defined for mine"):
            tune(bench[0], ["mine", "dcn"], quiet=True)

    def test_the_leaderboard_does_not_count_trials(self, bench, tmp_path):
        runner, _ = bench
        tune(runner, ["dcn"], quiet=True)
        folder = runner.results.parent
        assert load_runs(folder).empty
        (job,) = grid(MOVIELENS, ["dcn"], ["holdout"], 1)
        (folder / job.file).parent.mkdir(parents=True)
        (folder / job.file).write_text(
            (runner.results / load_tuned(runner.results)[0].trials[0][0].job.file).read_text()
        )
        assert len(load_runs(folder)) == 1

    @pytest.mark.parametrize("option", [["--seeds", "2"], ["--protocols", "holdout"]])
    def test_options_without_effect_are_errors(self, option, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["benchmark.py", "--tune", *option])
        with pytest.raises(SystemExit) as exit_:
            run(benchmark.main)
        assert exit_.value.code == 2
        assert "--tune has its own protocols and seed" in capsys.readouterr().err


class TestTables:
    def tuned(self, aucs) -> str:
        aucs = iter(aucs)
        entry = follow("dcn", lambda _: (auc := next(aucs, None)) and Outcome(auc, "0123456789abcdef"))
        return tuning_table([entry])

    def test_every_auc_and_what_was_chosen(self):
        aucs, settings, counted = self.tuned([0.81, 0.83, 0.85, 0.85, 0.71, 0.72]).split("\n\n")
        shown = "| DCN | 0.8100 | 0.8300 | **0.8500** | 0.8500 | 0.7100 | **0.7200** |"
        assert aucs.splitlines()[2:] == [shown]
        assert settings.splitlines()[2:] == ["| DCN | `lr=0.001, l2_reg_embedding=0.0001, unknown_rate=0.1` |"]
        assert counted == f"6 of {TRIALS * len(SEARCHES)} trials; sources 0123456789ab."

    def test_unfinished_models_choose_nothing(self):
        aucs, _ = self.tuned([0.81, 0.83]).split("\n\n")
        assert aucs.splitlines()[2:] == ["| DCN | 0.8100 | **0.8300** |"]

    def test_without_results(self):
        assert tuning_table([]) == "No trial has run yet."

    def test_every_search_is_listed(self):
        assert all(f"| {MODELS[name].title} |" in searches_table() for name in SEARCHES)


class TestHere:
    """What this repository holds."""

    @pytest.mark.parametrize("model", SEARCHES)
    def test_defaults_are_the_chosen_settings(self, model):
        chosen = next((entry.chosen for entry in TUNED if entry.model == model), None)
        if chosen is None:
            pytest.skip(f"results/ml-1m/{TUNING} does not hold all trials of {model} (python benchmark.py --tune)")
        defaults = constructor_defaults(model) | default_settings(model, "movielens")
        assert {name: defaults[name] for name in chosen} == chosen


def constructor_defaults(model: str) -> dict:
    classes = [kind for kind in reversed(MODELS[model].model_class.__mro__) if issubclass(kind, CTRModel)]
    parameters = [entry for kind in classes for entry in inspect.signature(kind.__init__).parameters.values()]
    return {entry.name: entry.default for entry in parameters if entry.kind is entry.KEYWORD_ONLY}
