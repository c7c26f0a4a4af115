"""What a whole script writes: into a pipe, and on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from script_helpers import write_movielens

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--model_name", "int_tower", "--protocol", "holdout", "--epoch", "2", "--batch_size", "8", "--device", "cpu")
SMALL += ("--embedding_dim", "4", "--set", "dnn_hidden_units=[8,6]", "--set", "user_head=2", "--set", "field_dim=4")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    data = write_movielens(tmp_path_factory.mktemp("data"))
    script = ROOT / "train_movielens_whole_models.py"
    return [sys.executable, script, "--data_path", data, *SMALL]


def piped(command: list, *argv) -> tuple[bytes, bytes]:
    done = subprocess.run([*command, *argv], capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    return done.stdout, done.stderr


def on_a_terminal(command: list, *argv) -> str:
    """Everything that a terminal gets, both streams in their order."""
    pty = pytest.importorskip("pty")
    outer, inner = pty.openpty()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "150", "LINES": "40"}
    child = subprocess.Popen([*command, *argv], stdin=inner, stdout=inner, stderr=inner, env=environment)
    os.close(inner)
    content = b""
    try:
        while block := os.read(outer, 1 << 16):
            content += block
    except OSError:  # the child has ended
        pass
    os.close(outer)
    assert child.wait() == 0
    return content.decode().replace("\r\n", "\n")


def epochs(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.startswith("epoch ")]


def test_a_pipe_gets_settings_lines_and_table_without_bars_or_controls(command, tmp_path):
    out, err = piped(command, "--out", tmp_path)
    assert [byte for byte in out + err if byte < 0x20 and byte != 0x0A] == []
    assert err == b""
    text = out.decode()
    assert "it/s" not in text
    places = [text.index(part) for part in ("Data: ", "\nSettings ", "\nepoch 1/2", "\nepoch 2/2", "\nTest results on")]
    assert places == sorted(places)
    assert " lr=0.003 " in text
    assert " epochs=2* " in text
    assert text.count(str(tmp_path)) == 2
    assert " of 2, whose weights were kept." in text


def test_quiet_leaves_the_table_and_a_resumed_finished_run_shows_it_again(command, tmp_path):
    out, err = piped(command, "--out", tmp_path, "--quiet")
    assert err == b""
    assert out.startswith(b"Test results on movielens, ")
    assert epochs(out.decode()) == []
    assert piped(command, "--out", tmp_path, "--quiet", "--resume") == (out, err)


def test_a_folder_cannot_move_the_cursor(command, tmp_path):
    streams = piped(command, "--resume", "--out", tmp_path / "a\x1b[2J\rb")
    assert b"nothing to resume in" in streams[1]
    assert all(line.isprintable() for stream in streams for line in stream.decode().split("\n"))


def test_a_terminal_has_a_bar_and_then_the_lines(command, tmp_path):
    content = on_a_terminal(command, "--out", tmp_path)
    assert "epoch 1/2:   0%|" in content
    left = "\n".join(line.rpartition("\r")[2] for line in content.split("\n"))  # what the screen shows at the end
    assert epochs(left) == ["1/2", "2/2"]
    assert "|" not in left
    assert "\nTest results on movielens" in left


def test_a_quiet_terminal_has_neither(command, tmp_path):
    content = on_a_terminal(command, "--out", tmp_path, "--quiet")
    assert content.startswith("Test results on movielens, ")
    assert "\r" not in content
