"""Stand-ins for the packages of the trackers, which remember what they are told, and a small run to tell them of."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace

from helpers import random_raw

from experiment.one_run import train_and_report
from experiment.options import parse_options
from model import build_model
from preprocessing.dataset import Dataset

SMALL = ("--batch_size", "64", "--lr_schedule", "constant", "--quiet", "--embedding_dim", "4", "--protocol", "holdout")
SIZES = {"dssm": ("--set", "dnn_hidden_units=[8,6]"), "gbdt": ()}


class SmallRun:
    """Of a script, in this process. stop_at: the epoch in which Ctrl-C comes, from 1."""

    def __init__(self, out: Path, *argv, model_name: str = "dssm", stop_at: int | None = None):
        argv = [*SMALL, *SIZES[model_name], "--out", out, *argv]
        if model_name == "gbdt":
            argv = ["--quiet", "--protocol", "holdout", "--out", out, *argv[argv.index(out) + 1 :]]
        self.options = parse_options("movielens", model_name, [str(argument) for argument in argv])
        self.data = Dataset.build(random_raw(), self.options.protocol, self.options.seed)
        columns = self.data.feature_columns(self.options.embedding_dim)
        arguments = dict(self.options.model_arguments)
        if self.options.dropout is not None:
            arguments["dnn_dropout"] = self.options.dropout
        self.model = build_model(model_name, columns, seed=self.options.seed, **arguments)
        self.model.compile("adam", lr=self.options.lr)
        if stop_at is not None:
            original, steps = self.model.losses, iter(range(1, 10**6))

            def losses(*values):
                if next(steps) > 3 * (stop_at - 1):  # 192 rows in batches of 64
                    raise KeyboardInterrupt
                return original(*values)

            self.model.losses = losses

    def __call__(self) -> dict:
        return train_and_report(lambda data: self.model, self.data, self.options, preprocess_seconds=0.0)


@dataclass
class Told:
    """What a tracker knows of one run. epochs: (number, figures) in the order in which they came."""

    settings: dict = field(default_factory=dict)
    epochs: list[tuple[int, dict]] = field(default_factory=list)
    result: dict = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.epochs]


class StandIn:
    """One of the packages. runs: by id, in the order in which they began. fails_at: number of the call that raises."""

    def __init__(self, name: str, monkeypatch):
        self.runs: dict[str, Told] = {}
        self.calls, self.fails_at, self.error = 0, None, OSError(28, "No space left on device")
        for module in {"tensorboard": self._tensorboard, "mlflow": self._mlflow, "wandb": self._wandb}[name]():
            module.__file__ = module.__file__ if hasattr(module, "__file__") else "stand-in"
            monkeypatch.setitem(sys.modules, module.__name__, module)

    @property
    def last(self) -> Told:
        return list(self.runs.values())[-1]

    def called(self) -> None:
        self.calls += 1
        if self.fails_at is not None and self.calls >= self.fails_at:
            raise self.error

    def _tensorboard(self) -> list[ModuleType]:
        stand_in = self

        class SummaryWriter:
            def __init__(self, place, purge_step=None):
                stand_in.called()
                self.told = stand_in.runs.setdefault(str(place), Told()) if purge_step else Told()
                self.told.epochs = [entry for entry in self.told.epochs if entry[0] < (purge_step or 0)]
                stand_in.runs[str(place)] = self.told
                self.file_writer = SimpleNamespace(add_summary=self.add_summary)
                self.figures: dict[int, dict] = {}

            def add_scalar(self, name, value, step):
                self.figures.setdefault(step, {})[name] = value

            def flush(self):
                stand_in.called()
                self.told.epochs += self.figures.items()
                self.figures = {}

            def add_summary(self, summary):
                if summary is not None:
                    self.told.settings, self.told.result = summary, next(iter(self.figures.values()))

            def close(self):
                stand_in.called()
                self.told.ends.append("closed")

        package, of_torch = ModuleType("tensorboard"), ModuleType("torch.utils.tensorboard")
        of_torch.SummaryWriter = SummaryWriter
        summary = ModuleType("torch.utils.tensorboard.summary")
        summary.hparams = lambda settings, metrics: (None, settings, None)
        return [package, of_torch, summary]

    def _mlflow(self) -> list[ModuleType]:
        stand_in = self

        class MlflowClient:
            def create_run(self, experiment, tags, run_name):
                stand_in.called()
                name = f"{experiment}-{len(stand_in.runs)}"
                stand_in.runs[name] = Told()
                return SimpleNamespace(info=SimpleNamespace(run_id=name))

            def update_run(self, run, status):
                stand_in.called()
                stand_in.runs[run].ends.append(status.lower())

            def log_batch(self, run, metrics=(), params=()):
                stand_in.called()
                told = stand_in.runs[run]
                told.settings |= {entry.key: entry.value for entry in params}
                figures = {entry.key: entry.value for entry in metrics}
                if "test_auc" in figures:
                    told.result = figures
                elif metrics:
                    told.epochs.append((metrics[0].step, figures))

            def set_terminated(self, run, status):
                stand_in.called()
                stand_in.runs[run].ends.append(status.lower())

        package, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
        package.MlflowClient = MlflowClient
        package.set_experiment = lambda name: SimpleNamespace(experiment_id=name)
        entities.Param = lambda key, value: SimpleNamespace(key=key, value=value)
        entities.Metric = lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value, step=step)
        return [package, entities]

    def _wandb(self) -> list[ModuleType]:
        stand_in = self

        class Run:
            def __init__(self, name, config):
                stand_in.called()
                self.told = stand_in.runs.setdefault(name, Told())
                self.told.settings = config
                self.summary, self.kept, self.step = self.told.result, [], 0

            def log(self, figures, step):
                stand_in.called()
                self.kept.append((step, figures))
                self.step = step

            def finish(self, exit_code):
                stand_in.called()
                self.told.epochs += self.kept
                self.told.ends.append({0: "finished", 130: "killed", 1: "failed"}[exit_code])

        package = ModuleType("wandb")
        package.init = lambda id, config, **_: Run(id, config)
        package.Settings = lambda **given: given
        return [package]
