"""What a killed, damaged or full disk leaves behind, and that a run continued from any of its states ends the same."""

from __future__ import annotations

import errno
import hashlib
import itertools
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import assert_same_weights, random_raw, small_model, without_times

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training import trainer
from training.checkpoints import CURRENT, FORMAT, PREVIOUS, TEMPORARY, Checkpoints
from training.run_folder import RunFolder
from training.training_state import EpochProgress, TrainingState

IDENTITY = {"model": "int_tower", "protocol": "holdout", "seed": 3, "model_arguments": {"user_head": 2, "item_head": 3}}
MODELS = ("int_tower", "dssm", "lr")
ROOT = Path(__file__).resolve().parents[2]
STEPS = 3  # 192 training rows in batches of 64


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def fit(model, dataset, epochs: int = 2, **options):
    options = {"validation_data": dataset.validation, "verbose": 0, "checkpoint_minutes": 1e-9} | options
    return model.fit(dataset.train, batch_size=64, epochs=epochs, **options)


def states_of(folder, model, dataset, **options) -> list[bytes]:
    """Trains, saving after every step and every epoch; -> the file of each state."""
    checkpoints, files = Checkpoints(folder, IDENTITY), []

    def save(state):
        checkpoints.save(state)
        files.append((folder / CURRENT).read_bytes())

    fit(model, dataset, on_epoch=save, **options)
    return files


def python(code: str, folder) -> subprocess.CompletedProcess:
    """Runs code in another process, which finds the folder in `sys.argv[1]`."""
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def written_by(state: TrainingState) -> list:
    return [state.epoch, 0 if state.progress is None else state.progress.rows]


class TestResumedInsideAnEpoch:
    @pytest.mark.parametrize("schedule", ["constant", "linear"])
    @pytest.mark.parametrize("name", MODELS)
    def test_every_state_leads_to_the_same_end(self, name, schedule, dataset, tmp_path):
        arguments = {"unknown_rate": 0.1}
        whole, last = small_model(name, dataset, **arguments), []
        fit(whole, dataset, lr_schedule=schedule, checkpoint_minutes=5.0, on_epoch=last.append)
        files = states_of(tmp_path, small_model(name, dataset, **arguments), dataset, lr_schedule=schedule)
        assert len(files) == 2 * (STEPS + 1)
        checkpoints = Checkpoints(tmp_path, IDENTITY)
        for file in files:
            (tmp_path / CURRENT).write_bytes(file)
            torch.manual_seed(999)  # a new process
            resumed, end = small_model(name, dataset, **arguments), []
            state, _ = checkpoints.load()
            fit(resumed, dataset, lr_schedule=schedule, state=state, on_epoch=end.append)
            assert_same_weights(resumed, whole)
            assert without_times(state.history) == without_times(last[-1].history)

    def test_a_row_left_over_stays_out(self, tmp_path):
        """A batch of one row is dropped; the position must not count it."""
        dataset = Dataset.build(random_raw(rows=303), "holdout", 0)
        train = dataset.train.take(torch.arange(129))
        states = []
        model = small_model("dssm", dataset)
        model.fit(
            train,
            batch_size=64,
            verbose=0,
            checkpoint_minutes=1e-9,
            on_epoch=lambda state: states.append(written_by(state)),
        )
        assert states == [[0, 64], [0, 128], [1, 0]]

    def test_is_saved_no_more_often_than_asked_for(self, dataset):
        states = []
        fit(
            small_model("lr", dataset), dataset, checkpoint_minutes=5.0, on_epoch=lambda s: states.append(written_by(s))
        )
        assert states == [[1, 0], [2, 0]]

    def test_time_of_an_epoch_adds_up(self, dataset, tmp_path, monkeypatch):
        states_of(tmp_path, small_model("lr", dataset), dataset)
        state, _ = Checkpoints(tmp_path, IDENTITY).load()
        state.epoch, state.history = 0, []
        state.progress = EpochProgress(torch.zeros(len(dataset.train)), rows=64, seconds=1000.0)
        clock = itertools.count(50.0, 0.5)  # looked at when the rest begins, at each of its two saves, and at the end
        monkeypatch.setattr(trainer.time, "perf_counter", lambda: next(clock))
        saved = []

        def on_epoch(state):
            saved.append(state.progress and state.progress.seconds)

        fit(small_model("lr", dataset), dataset, epochs=1, state=state, on_epoch=on_epoch)
        assert saved == [1000.5, 1001.0, None]  # of the finished epoch no progress is left
        assert state.history[0]["seconds"] == 1001.5

    def test_a_model_of_another_shape_is_refused(self, dataset, tmp_path):
        states_of(tmp_path, small_model("dssm", dataset), dataset, epochs=1)
        state, _ = Checkpoints(tmp_path, IDENTITY).load()
        with pytest.raises(InputError, match=r"does not fit this model .*Use another --out"):
            fit(small_model("dssm", dataset, dnn_hidden_units=(9, 8)), dataset, state=state)

    def test_weights_by_the_names_of_an_earlier_version_are_refused(self, dataset, tmp_path):
        states_of(tmp_path, small_model("dssm", dataset), dataset, epochs=1)
        state, _ = Checkpoints(tmp_path, IDENTITY).load()
        state.weights["cosine.bias"] = state.weights.pop("interaction.bias")
        with pytest.raises(InputError, match=r"of an earlier version of this one. Use another --out"):
            fit(small_model("dssm", dataset), dataset, state=state)

    @pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan")])
    def test_bad_intervals_are_refused(self, minutes, dataset):
        with pytest.raises(InputError, match="checkpoint_minutes must be positive"):
            fit(small_model("lr", dataset), dataset, checkpoint_minutes=minutes)


def test_random_numbers_of_the_models_own_gpu(monkeypatch):
    """--device cuda:1 does not make it the current device."""
    stub = SimpleNamespace(device=torch.device("cuda:1"), state_dict=dict, load_state_dict=lambda weights: None)
    states, done = {torch.device("cuda:1"): torch.ones(3)}, {}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device])
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda value, device: done.update({device: value}))
    state = TrainingState()
    state.capture(stub, stub)
    state.restore(stub, stub)
    assert done == states


class Trap:
    """Unpickling this would write a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
class TestFiles:
    @pytest.fixture
    def folder(self, dataset, tmp_path):
        """The state after epoch 2, and before it the one inside it, after its last step."""
        states_of(tmp_path, small_model("int_tower", dataset), dataset)
        return tmp_path

    def test_the_newest_and_the_one_before_are_kept(self, folder):
        assert sorted(path.name for path in folder.iterdir()) == [PREVIOUS, CURRENT]
        state, notice = Checkpoints(folder, IDENTITY).load()
        assert notice is None
        assert (state.epoch, len(state.history), state.progress) == (2, 2, None)
        assert state.best_auc == max(logs["val_auc"] for logs in state.history)
        assert state.best_weights.keys() == state.weights.keys()
        (folder / PREVIOUS).replace(folder / CURRENT)
        assert written_by(Checkpoints(folder, IDENTITY).load()[0]) == [1, 192]

    @pytest.mark.parametrize("damage", ["empty", "cut", "one bit", "no checkpoint", "gone"])
    def test_a_damaged_one_is_noticed_and_the_previous_used(self, folder, damage):
        path, content = folder / CURRENT, bytearray((folder / CURRENT).read_bytes())
        content[len(content) // 2] ^= 1
        if damage == "gone":  # killed between the two renames
            path.unlink()
        else:
            whole = path.read_bytes()
            path.write_bytes(
                {"empty": b"", "cut": whole[:-500], "one bit": content, "no checkpoint": b"\x80" * 999}[damage]
            )
        state, notice = Checkpoints(folder, IDENTITY).load()
        assert written_by(state) == [1, 192]
        reason = {"gone": "is missing", "one bit": "checksum", "cut": "checksum"}.get(damage, "no checkpoint")
        assert notice.startswith(f"{CURRENT} ")
        assert reason in notice
        assert f"continuing from {PREVIOUS}, in epoch 2, after 192 of 192 rows" in notice

    def test_a_damaged_one_never_replaces_the_previous(self, folder):
        """Else a kill between the two renames of the next one would leave nothing that can be read."""
        good = (folder / PREVIOUS).read_bytes()
        (folder / CURRENT).write_bytes(b"")
        checkpoints = Checkpoints(folder, IDENTITY)
        state, _ = checkpoints.load()
        checkpoints.save(state)
        assert (folder / PREVIOUS).read_bytes() == good
        newest = (folder / CURRENT).read_bytes()
        checkpoints.save(state)
        assert (folder / PREVIOUS).read_bytes() == newest

    def test_every_byte_counts(self, folder):
        """A flipped bit anywhere is found, in the header, too."""
        whole = (folder / CURRENT).read_bytes()
        for place in [0, 8, 39, 40, *range(41, len(whole), len(whole) // 20), len(whole) - 1]:
            content = bytearray(whole)
            content[place] ^= 0x10
            (folder / CURRENT).write_bytes(content)
            assert Checkpoints(folder, IDENTITY).load()[1] is not None

    def test_both_damaged(self, folder):
        for name in (CURRENT, PREVIOUS):
            (folder / name).write_bytes(b"")
        with pytest.raises(InputError, match=rf"No checkpoint .*{CURRENT} is no .*{PREVIOUS} is no .*Delete them, run"):
            Checkpoints(folder, IDENTITY).load()

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match=r"nothing to resume: no checkpoint in"):
            Checkpoints(tmp_path, {}).load()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"model": "dssm"}, "model: 'int_tower', now 'dssm'"),
            ({"protocol": "temporal"}, "protocol: 'holdout', now 'temporal'"),
            ({"seed": 4}, "seed: 3, now 4"),
            ({"model_arguments": {"user_head": 4, "item_head": 3}}, r"\(model_arguments.user_head: 2, now 4\)"),
            ({"new": 1}, "new: None, now 1"),
        ],
        ids=lambda value: None if isinstance(value, str) else next(iter(value)),
    )
    def test_of_another_run_are_refused_naming_the_difference(self, folder, change, message):
        with pytest.raises(InputError, match=f"belongs to another run .*{message}.*Use another --out"):
            Checkpoints(folder, IDENTITY | change).load()

    def test_a_setting_that_is_gone_is_a_difference(self, folder):
        with pytest.raises(InputError, match="seed: 3, now None"):
            Checkpoints(folder, {key: value for key, value in IDENTITY.items() if key != "seed"}).load()

    @pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
    @pytest.mark.parametrize("sealed", [True, False])
    def test_code_in_them_does_not_run(self, folder, tmp_path, save, sealed):
        """Not even behind a checksum that fits."""
        path = folder / CURRENT
        save({"state": Trap(tmp_path / "sprung"), "identity": {}}, path)
        if sealed:
            path.write_bytes(FORMAT + hashlib.sha256(path.read_bytes()).digest() + path.read_bytes())
        assert PREVIOUS in Checkpoints(folder, IDENTITY).load()[1]
        assert not (tmp_path / "sprung").exists()

    def test_weights_that_are_not_finite_are_not_written(self, folder, dataset):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        model = small_model("lr", dataset)
        state = TrainingState(epoch=3)
        state.capture(model, model.optim)
        name = next(iter(state.weights))
        state.weights[name].view(-1)[0] = float("inf")
        with pytest.raises(InputError, match=rf"weights {name} are not finite after epoch 3.*Lower the learning rate"):
            Checkpoints(folder, IDENTITY).save(state)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


class TestFullDisk:
    """The run ends with a message, what was there stays, and with room again it goes on to the same end."""

    def full_after(self, monkeypatch, size: int):
        """Every checkpoint file takes this many bytes and no more."""
        original = Path.open

        class Full:
            def __init__(self, file):
                self.file, self.room = file, size

            def write(self, data):
                self.room -= memoryview(data).nbytes
                if self.room < 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return self.file.write(data)

            def __getattr__(self, name):
                return getattr(self.file, name)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                self.file.close()

        def open_full(path, mode="r"):
            file = original(path, mode)
            return Full(file) if path.name == TEMPORARY else file

        monkeypatch.setattr(Path, "open", open_full)

    @pytest.mark.parametrize("size", [0, 1000, 9000])
    def test_keeps_what_was_there(self, size, dataset, tmp_path, monkeypatch):
        whole = small_model("int_tower", dataset)
        fit(whole, dataset)
        checkpoints, saves = Checkpoints(tmp_path, IDENTITY), []

        def save(state):
            if len(saves) == 5:
                self.full_after(monkeypatch, size)
            checkpoints.save(state)
            saves.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})

        with pytest.raises(InputError, match=r"cannot be written: No space left.*one before it is intact.*--resume"):
            fit(small_model("int_tower", dataset), dataset, on_epoch=save)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == saves[-1]
        monkeypatch.undo()
        resumed = small_model("int_tower", dataset)
        state, notice = checkpoints.load()
        assert (written_by(state), notice) == ([1, 64], None)
        fit(resumed, dataset, state=state, on_epoch=checkpoints.save)
        assert_same_weights(resumed, whole)

    def test_first_checkpoint(self, dataset, tmp_path, monkeypatch):
        self.full_after(monkeypatch, 100)
        with pytest.raises(InputError, match=r"cannot be written: No space left on device\. Make room first"):
            fit(small_model("lr", dataset), dataset, on_epoch=Checkpoints(tmp_path, IDENTITY).save)
        assert list(tmp_path.iterdir()) == []

    def test_a_real_limit(self, dataset, tmp_path):
        """The kernel refuses to let a file grow to its full size."""
        code = """
import resource, sys
from pathlib import Path
sys.path[:0] = ["tests"]
from helpers import fit, random_raw, small_model
from foundation.errors import InputError
from preprocessing.dataset import Dataset
from training.checkpoints import Checkpoints
data, checkpoints = Dataset.build(random_raw(), "holdout", 0), Checkpoints(Path(sys.argv[1]), {})
def save(state):
    if state.epoch == 1 and state.progress is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
    checkpoints.save(state)
try:
    fit(small_model("lr", data), data, on_epoch=save, checkpoint_minutes=1e-9)
except InputError as error:
    print(error)
"""
        done = python(code, tmp_path)
        assert "cannot be written: File too large. The one before it is intact" in done.stdout
        assert sorted(path.name for path in tmp_path.iterdir()) == [PREVIOUS, CURRENT]
        assert written_by(Checkpoints(tmp_path, {}).load()[0]) == [1, 0]


class TestOneRunAFolder:
    imports = "import os, signal, sys; from pathlib import Path; from training.run_folder import RunFolder\n"

    def test_the_second_is_refused(self, tmp_path):
        with (
            RunFolder(tmp_path, IDENTITY),
            pytest.raises(InputError, match=r"is in use by process \d+\. Wait for it, or use another --out"),
        ):
            RunFolder(tmp_path, IDENTITY)

    def test_in_another_process(self, tmp_path):
        code = "RunFolder(Path(sys.argv[1]), {})"
        with RunFolder(tmp_path, {}):
            refused = python(self.imports + code, tmp_path)
        assert "is in use by process" in refused.stderr
        assert python(self.imports + code, tmp_path).returncode == 0

    @pytest.mark.parametrize("how", ["ended", "failed", "refused"])
    def test_leaves_no_lock(self, how, tmp_path):
        if how == "ended":
            with RunFolder(tmp_path, {}):
                pass
        elif how == "failed":
            with pytest.raises(ZeroDivisionError), RunFolder(tmp_path, {}):
                _ = 1 / 0
        else:
            (tmp_path / CURRENT).touch()
            with pytest.raises(InputError, match="An interrupted run lies in"):
                RunFolder(tmp_path, {})
            (tmp_path / CURRENT).unlink()
        assert list(tmp_path.iterdir()) == []
        with RunFolder(tmp_path, {}):
            pass

    def test_a_killed_run_leaves_none_that_holds(self, tmp_path):
        code = "folder = RunFolder(Path(sys.argv[1]), {}); os.kill(os.getpid(), signal.SIGKILL)"
        assert python(self.imports + code, tmp_path).returncode == -signal.SIGKILL
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        with RunFolder(tmp_path, {}):
            pass
        assert list(tmp_path.iterdir()) == []
