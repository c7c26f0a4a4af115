"""The runner: what is missing is run, what is there is kept, and nothing passes for what it is not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from runner_helpers import make_bench
from sealed_helpers import change_sealed

from experiment.options import parse_options
from experiment.script import Interrupted
from foundation.errors import InputError
from leaderboard import code_fingerprint
from leaderboard import runner as runner_module
from leaderboard.code_fingerprint import code_version
from leaderboard.data_sets import MOVIELENS


@pytest.fixture
def bench(tmp_path):
    return make_bench(tmp_path)


class TestRunner:
    def test_runs_every_job_once(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs, quiet=True)
        expected = sorted(f"{job.model} holdout {job.seed} False" for job in jobs)
        assert calls() == expected
        runner.run(jobs, quiet=True)
        assert calls() == expected

    def test_a_job_that_is_given_twice_runs_once(self, bench):
        runner, jobs, calls = bench
        runner.run([*jobs, *jobs], quiet=True)
        assert len(calls()) == len(jobs)

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

    def test_other_code_starts_afresh(self, bench, monkeypatch):
        runner, jobs, calls = bench
        runner.run(jobs, quiet=True)
        runner.result_path(jobs[0]).unlink()
        monkeypatch.setattr(code_fingerprint, "sources_sha256", lambda: "f" * 64)
        replace(runner, code=code_version()).run(jobs, quiet=True)
        assert len(calls()) == len(jobs) + 1

    def test_an_interrupted_run_is_resumed(self, bench):
        runner, jobs, calls = bench
        out = runner.run_folder(jobs[0])
        out.mkdir(parents=True)
        (out / "checkpoint.pt").write_text("")
        runner.run(jobs[:1], quiet=True)
        assert calls() == [f"{jobs[0].model} holdout {jobs[0].seed} True"]

    def test_a_result_says_how_to_repeat_it(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs[:1], quiet=True)
        result = json.loads(runner.result_path(jobs[0]).read_text())
        assert result["command"].endswith(f"--model_name lr --protocol holdout --seed {jobs[0].seed}")
        assert result["command"].startswith("OMP_NUM_THREADS=")
        assert result["code"] == code_version()
        assert not {"run", "files", "sha256"} & set(result)  # paths and times of a machine
        assert result["history"] == {"epoch": [1, 2], "auc": [0.5, 0.6], "val_auc": [0.55, 0.65]}

    def test_what_a_killed_run_left_of_its_first_checkpoint_is_not_resumed(self, bench):
        runner, jobs, calls = bench
        out = runner.run_folder(jobs[0])
        out.mkdir(parents=True)
        (out / "checkpoint.tmp").write_text("")
        runner.run(jobs[:1], quiet=True)
        assert calls() == [f"{jobs[0].model} holdout {jobs[0].seed} False"]

    def test_paths_are_as_seen_from_the_current_folder_and_in_no_result(self, bench, tmp_path, monkeypatch):
        runner, jobs, calls = bench
        monkeypatch.chdir(tmp_path)
        replace(runner, results=Path("r"), runs=Path("s"), data_path="calls.txt").run(jobs[:1], quiet=True)
        assert len(calls()) == 1
        assert len(list(Path("s").rglob("result.json"))) == 1
        text = (tmp_path / "r" / jobs[0].file).read_text()
        assert str(tmp_path) not in text.replace(jobs[0].dataset.script, "")

    def test_on_ctrl_c_it_is_said_what_was_saved(self, bench, monkeypatch):
        runner, jobs, calls = bench
        runner.run(jobs[:1], quiet=True)

        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(runner_module, "as_completed", interrupted)
        with pytest.raises(Interrupted, match=rf"What had finished is in {runner.results}\. The same command goes on"):
            runner.run(jobs, quiet=True)
        monkeypatch.undo()
        runner.run(jobs, quiet=True)
        assert len(calls()) == len(jobs)


class TestFailures:
    """One run that fails is named, and stops no other."""

    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ("broken", "error: it broke,\n    Do this.\n"),
            ("crashing", "exit status 1: ValueError: nobody expected this\n"),
            ("killed", "exit status -9\n"),
            ("truncating", "result.json is damaged: its checksum differs"),
            ("forgetful", "history.csv cannot be read: No such file or directory"),
            ("thoughtless", "KeyError: 'threads'"),
        ],
    )
    def test_of_a_script(self, bench, model, message):
        runner, jobs, calls = bench
        bad = replace(jobs[0], model=model)
        with pytest.raises(InputError, match=rf"(?s)^1 of 5 runs failed:\n.*--model_name {model} .*    .*{message}"):
            runner.run([bad, *jobs], quiet=True)
        assert sum(call.startswith(("lr", "dssm")) for call in calls()) == len(jobs)
        assert runner.missing([bad, *jobs]) == [bad]

    def test_of_a_script_come_with_the_run_folder(self, bench):
        runner, jobs, _ = bench
        bad = replace(jobs[0], model="broken")
        with pytest.raises(InputError) as failure:
            runner.run([bad], quiet=True)
        assert str(failure.value).endswith(f"to move away if it is to start afresh: {runner.run_folder(bad)}")
        assert "of no importance" not in str(failure.value)

    def test_of_filing_a_result(self, bench):
        runner, jobs, _ = bench
        folder = runner.result_path(jobs[0]).parent
        folder.parent.mkdir(parents=True)
        folder.write_text("in the way of a folder")
        with pytest.raises(InputError, match=r"(?s)2 of 4 runs failed.*File exists"):
            runner.run(jobs, quiet=True)
        assert [job.model for job in runner.missing(jobs)] == ["lr", "lr"]


class TestOtherSources:
    """Results are of the sources that the runner started with, or they are not filed."""

    def test_nothing_starts_with_them(self, bench, monkeypatch):
        runner, jobs, calls = bench
        monkeypatch.setattr(code_fingerprint, "sources_sha256", lambda: "f" * 64)
        with pytest.raises(InputError, match=r"(?s)4 of 4 runs failed.*have changed since this command started"):
            runner.run(jobs, quiet=True)
        assert calls() == []

    def test_a_run_under_which_they_changed_is_set_aside_and_trained_again(self, bench, monkeypatch):
        runner, jobs, calls = bench
        before = runner.code["sources_sha256"]
        monkeypatch.setattr(code_fingerprint, "sources_sha256", lambda: "f" * 64 if calls() else before)
        with pytest.raises(InputError, match="2 of 2 runs failed"):
            replace(runner, workers=1).run(jobs[:2], quiet=True)
        assert (len(calls()), runner.missing(jobs)) == (1, jobs)
        assert [path.name for path in runner.run_folder(jobs[0]).parent.iterdir()] == ["seed1023-other-sources1"]
        monkeypatch.undo()
        runner.run(jobs[:2], quiet=True)
        assert (len(calls()), runner.missing(jobs)) == (3, jobs[2:])


class TestOthersResults:
    """What another command made, or other data gave, is no job's result."""

    def test_a_filed_result_of_another_command_is_refused_before_anything_runs(self, bench):
        runner, jobs, calls = bench
        runner.run(jobs[:1], quiet=True)
        asked = replace(jobs[0], arguments=("--lr", "0.02"))
        for first, second in ((jobs[0], asked), (asked, jobs[0])):
            path = runner.result_path(first)
            with pytest.raises(InputError) as refusal:
                runner.run([second, *jobs[1:]], quiet=True)
            assert str(refusal.value).startswith(f"{path} is the result of another command. Move it away")
            held, wanted = (" ".join(job.command(None)) for job in (first, second))
            assert held in str(refusal.value).splitlines()[1]
            assert str(refusal.value).splitlines()[2].endswith(wanted)
            assert len(calls()) == 1
            path.write_text(json.dumps(json.loads(path.read_text()) | {"arguments": asked.command(None)[1:]}))

    def test_an_older_result_is_told_by_the_text_of_its_command(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs, quiet=True)
        path = runner.result_path(jobs[0])
        older = json.loads(path.read_text())
        del older["arguments"]
        path.write_text(json.dumps(older))
        assert runner.missing(jobs) == []
        with pytest.raises(InputError, match="is the result of another command"):
            runner.missing([replace(jobs[0], arguments=("--lr", "0.02"))])

    def test_all_that_are_refused_are_named(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs, quiet=True)
        with pytest.raises(InputError) as refusal:
            runner.missing([replace(job, arguments=("--lr", "0.02")) for job in jobs])
        assert all(str(runner.result_path(job)) in str(refusal.value) for job in jobs)

    def test_a_damaged_one_is_named(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs, quiet=True)
        runner.result_path(jobs[0]).write_text('{"command": ')
        with pytest.raises(InputError, match=f"{runner.result_path(jobs[0])} is not valid JSON"):
            runner.missing(jobs)

    def test_a_filed_result_of_other_data_is_refused(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs, quiet=True)
        assert replace(runner, data_sha256="d" * 64).missing(jobs) == []
        with pytest.raises(InputError, match=r"json is about other data \(sha256 d{12}\) than those at hand \(e{12}\)"):
            replace(runner, data_sha256="e" * 64).missing(jobs)

    def test_a_finished_run_on_other_data_is_not_filed(self, bench):
        runner, jobs, _ = bench
        runner.run(jobs[:1], quiet=True)
        runner.result_path(jobs[0]).unlink()
        with pytest.raises(InputError, match=r"(?s)1 of 1 runs failed.*is about other data"):
            replace(runner, data_sha256="e" * 64).run(jobs[:1], quiet=True)
        assert not runner.result_path(jobs[0]).exists()

    @pytest.mark.parametrize(
        ("arguments", "difference"),
        [
            (("--lr", "0.02"), "lr: 0.02, wanted 0.01"),
            (("--lr", "0.01", "--set", "init_std=0.3"), "init_std: 0.3, wanted the default"),
            (("--lr", "0.01", "--epoch", "2", "--max_rows", "9"), "epochs: 2, wanted .*; max_rows: 9, wanted None"),
        ],
    )
    def test_a_finished_run_with_other_settings_is_not_filed(self, bench, arguments, difference):
        runner, jobs, calls = bench
        known = replace(MOVIELENS, script=jobs[0].dataset.script)  # a script whose options are known
        jobs = [replace(job, dataset=known) for job in jobs]
        job = replace(jobs[0], arguments=("--lr", "0.01"))
        runner.run([job], quiet=True)
        runner.result_path(job).unlink()
        path = runner.run_folder(job) / "result.json"
        options = parse_options("movielens", None, replace(job, arguments=arguments).options)
        config = options.config | {"model_arguments": options.model_arguments}
        change_sealed(path, config=json.loads(json.dumps(config)))
        before = path.read_bytes()
        with pytest.raises(InputError, match=rf"(?s)1 of 4 runs failed.*run with other settings \({difference}"):
            runner.run([job, *jobs[1:]], quiet=True)
        assert path.read_bytes() == before
        assert runner.missing([job, *jobs[1:]]) == [job]
        assert len(calls()) == len(jobs)
