"""Runs of a training script in the same process, and what they leave, for the tests of run folders."""

from __future__ import annotations

from helpers import random_raw

from experiment.one_run import train_and_report
from experiment.options import parse_options
from model import build_model
from preprocessing.dataset import Dataset

RESULTS = {"result.json", "README.md", "history.csv", "curves.png", "model.safetensors", "config.json"}
TRAINING = ("--batch_size", "64", "--lr", "0.01", "--lr_schedule", "constant", "--quiet")
SIZES = {
    "int_tower": (
        *("--set", "dnn_hidden_units=[8,6]", "--set", "user_head=2", "--set", "field_dim=4"),
        *("--set", "cir_weight=0.1", "--embedding_dim", "4"),
    ),
    "lr": (),
}


class Run:
    """One run of a script in this process, on hand-made data. stop: raises this in the given training step."""

    def __init__(self, out, *argv, raw=None, stop=None, at_step=0, model_name="int_tower"):
        argv = [*TRAINING, *SIZES[model_name], "--out", out, *argv]
        self.options = parse_options("movielens", model_name, [str(argument) for argument in argv])
        self.data = Dataset.build(raw or random_raw(), self.options.protocol, self.options.seed)
        arguments = dict(self.options.model_arguments)
        if self.options.dropout is not None:
            arguments["dnn_dropout"] = self.options.dropout
        columns = self.data.feature_columns(self.options.embedding_dim)
        self.model = build_model(model_name, columns, seed=self.options.seed, **arguments)
        self.model.compile("adam", lr=self.options.lr)
        self.steps = 0
        if stop is not None:
            original = self.model.losses

            def losses(*values):
                self.steps += 1
                if self.steps > at_step:
                    raise stop
                return original(*values)

            self.model.losses = losses

    def __call__(self) -> dict:
        return train_and_report(lambda data: self.model, self.data, self.options, preprocess_seconds=0.5)


def closing_lines(capsys) -> list[str]:
    """What was printed, from the title of the closing table on."""
    lines = capsys.readouterr().out.splitlines()
    return lines[next(place for place, line in enumerate(lines) if line.startswith("Test results")) :]


STEPS = 3  # 192 training rows in batches of 64


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def without(settings: dict, name: str) -> dict:
    return {key: value for key, value in settings.items() if key != name}


def timeless(result: dict) -> dict:
    return {name: value for name, value in result.items() if name not in ("seconds", "train_rows_per_second", "run")}
