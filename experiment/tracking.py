"""`--track`: the settings and figures of a run in TensorBoard, MLflow or Weights & Biases (`docs/tracking.md`).

Imported only where it is asked for, and of the trackers' packages only the one that was asked for.

What a tracker is told of epochs comes from the run's own history, so that a resumed run tells it whatever it has
missed, once. RUN/tracking.json keeps under which id a tracker knows the run, and how many epochs it has been told.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar, Protocol

from foundation.atomic import write_atomic
from foundation.deepctr import Callback
from foundation.errors import InputError
from foundation.run_files import TRACKING
from foundation.shown import shortened
from training.run_folder import RunFolder

LONGEST = 500  # characters of a setting, which is what older versions of MLflow take
WIDTH = 200  # of an error in a message


@dataclass(frozen=True)
class Run:
    """What a tracker knows before training. settings: flat, by name. quiet: whether it is to be silent, too."""

    folder: Path
    dataset: str
    settings: dict[str, Any]
    quiet: bool

    @property
    def name(self) -> str:
        """The end of its path, which says model, protocol and seed by default.

        >>> Run(Path("runs/ml-1m/hit/holdout-seed7"), "ml-1m", {}, True).name
        'hit/holdout-seed7'
        """
        return "/".join(self.folder.parts[-2:])


class Tracker(Protocol):
    """One run in one tracker. id: under which it finds the run again.

    at_once: whether it keeps at once what it is told, else when it is closed: a killed run tells it once more.
    """

    id: str
    at_once: ClassVar[bool] = True

    def __init__(self, run: Run, known: str | None, epochs: int):
        """known: the id of the run to continue, None for a new one. epochs: how many of them it has been told."""

    def epoch(self, number: int, figures: dict[str, float]) -> None:
        """number: from 1."""

    def result(self, figures: dict[str, float], epochs: int) -> None: ...

    def close(self, end: str) -> None:
        """end: "finished", "interrupted" or "failed"."""


class TensorBoard:
    """Event files in RUN/tensorboard."""

    id = "tensorboard"
    at_once: ClassVar[bool] = True

    def __init__(self, run: Run, known: str | None, epochs: int):
        from torch.utils.tensorboard import SummaryWriter

        place = run.folder / "tensorboard"
        self.settings = {name: value if value is not None else "none" for name, value in run.settings.items()}
        if known is None:
            for path in place.glob("events.out.tfevents.*"):  # of an earlier run in the same folder
                path.unlink()
        # What a killed run wrote beyond the epochs that count is left out when the files are read.
        self.writer = SummaryWriter(place, purge_step=None if known is None else epochs + 1)

    def epoch(self, number: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, number)
        self.writer.flush()  # a run may be killed

    def result(self, figures: dict[str, float], epochs: int) -> None:
        from torch.utils.tensorboard.summary import hparams

        for name, value in figures.items():
            self.writer.add_scalar(name, value, epochs)
        file_writer: Any = self.writer.file_writer
        for summary in hparams(self.settings, dict.fromkeys(figures)):  # `add_hparams` would open a run of its own
            file_writer.add_summary(summary)

    def close(self, end: str) -> None:
        self.writer.close()


class MLflow:
    """A run in the store that MLflow's own settings name. Not its fluent interface, which ends runs at exit, again and
    again where the server is gone."""

    at_once: ClassVar[bool] = True
    ENDS: ClassVar[dict[str, str]] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}

    def __init__(self, run: Run, known: str | None, epochs: int):
        import mlflow
        from mlflow.entities import Param

        self.client = mlflow.MlflowClient()
        if known is not None:
            self.id = known
            self.client.update_run(known, status="RUNNING")
            return
        experiment = os.environ.get("MLFLOW_EXPERIMENT_ID")
        if not experiment:
            experiment = mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.dataset).experiment_id
        tags = {"run_folder": str(run.folder)}
        self.id = self.client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
        params = [Param(name, str(value)[:LONGEST]) for name, value in run.settings.items()]
        self.client.log_batch(self.id, params=params)

    def epoch(self, number: int, figures: dict[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(name, value, now, number) for name, value in figures.items()])

    def result(self, figures: dict[str, float], epochs: int) -> None:
        self.epoch(epochs, figures)

    def close(self, end: str) -> None:
        self.client.set_terminated(self.id, self.ENDS[end])


class WandB:
    """A run of Weights & Biases, with its local files in RUN/wandb. Its own settings (WANDB_...) come first."""

    at_once: ClassVar[bool] = False
    ENDS: ClassVar[dict[str, int]] = {"finished": 0, "interrupted": 130, "failed": 1}

    def __init__(self, run: Run, known: str | None, epochs: int):
        import wandb

        usual = {"WANDB_PROJECT": ("project", run.dataset), "WANDB_NAME": ("name", run.name)}
        usual |= {"WANDB_DIR": ("dir", str(run.folder))}
        arguments = dict(usual[variable] for variable in usual if not os.environ.get(variable))
        if run.quiet:
            arguments["settings"] = wandb.Settings(silent=True)
        if known is not None:
            arguments["resume"] = "allow"
        self.id = known or os.environ.get("WANDB_RUN_ID") or token_hex(4)
        self.run = wandb.init(id=self.id, config=run.settings, **arguments)

    def epoch(self, number: int, figures: dict[str, float]) -> None:
        if number >= self.run.step:  # a server may know it already
            self.run.log(figures, step=number)

    def result(self, figures: dict[str, float], epochs: int) -> None:
        self.run.summary.update(figures)

    def close(self, end: str) -> None:
        self.run.finish(exit_code=self.ENDS[end])


# Name -> class, the module that it imports, and the package to install.
TRACKERS: dict[str, tuple[type[Tracker], str, str]] = {
    "tensorboard": (TensorBoard, "torch.utils.tensorboard", "tensorboard"),
    "mlflow": (MLflow, "mlflow", "mlflow"),
    "wandb": (WandB, "wandb", "wandb"),
}


def require(name: str) -> None:
    """Imports the package of a tracker. Raises `InputError` that says what to install."""
    _, module, package = TRACKERS[name]
    reason: Exception | None = None
    try:
        # A folder of that name, where a tracker keeps its files, is imported as an empty module.
        missing = importlib.import_module(package).__file__ is None
        importlib.import_module(module)
    except Exception as error:
        missing, reason = isinstance(error, ModuleNotFoundError) and error.name == package, error
    if missing:
        raise InputError(f"--track {name} needs the package {package}. Install it: pip install {package}")
    if reason is not None:
        text = shortened(f"{type(reason).__name__}: {reason}", WIDTH)
        raise InputError(f"--track {name}: {package} is installed but cannot be imported ({text}).")


class Tracking(Callback):
    """Tells a tracker of the training of a run, as a callback in a `with` statement around it.

    folder: of the run, with the state that it continues from. settings: nested, as in `result.json`.
    Whatever the tracker fails at costs a warning, once: from then on it is told nothing.
    """

    def __init__(self, name: str, folder: RunFolder, dataset: str, settings: dict[str, Any], quiet: bool = False):
        super().__init__()
        self.name, self.folder = name, folder
        self.run = Run(folder.path, dataset, dict(_flat(settings)), quiet)
        self.tracker: Tracker | None = None
        self.told: dict[str, dict] = {}  # as in RUN/tracking.json
        self.epochs = 0  # that the tracker has been told

    def __enter__(self) -> Tracking:
        if self.folder.state is not None:
            self.told = _read(self.folder.path / TRACKING)
        known = self.told.get(self.name, {"id": None, "epochs": 0})
        self.epochs = known["epochs"]
        if self.run.quiet:
            logging.getLogger(self.name).setLevel(logging.WARNING)
        with self._lenient():
            self.tracker = TRACKERS[self.name][0](self.run, known["id"], self.epochs)
            self._remember(self.tracker)
        self._tell(self._catch_up)
        return self

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self._tell(self._catch_up)

    def finish(self, result: dict) -> None:
        """result: `result.json`."""
        scores = {f"{split}_{name}": value for split in ("validation", "test") for name, value in result[split].items()}
        self._tell(self._catch_up)
        self._tell(lambda tracker: tracker.result(scores | {"best_epoch": result["best_epoch"]}, result["epochs"]))

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        end = "finished" if kind is None else "failed" if issubclass(kind, Exception) else "interrupted"
        self._tell(lambda tracker: tracker.close(end))
        self._tell(self._remember)

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        if self.tracker is not None:
            with self._lenient():
                what(self.tracker)

    def _catch_up(self, tracker: Tracker) -> None:
        """All epochs of the run that the tracker has not been told."""
        history = [] if self.folder.state is None else self.folder.state.curve
        missed = [logs for logs in history if logs["epoch"] > self.epochs]
        for logs in missed:
            number = int(logs["epoch"])
            tracker.epoch(number, {name: value for name, value in logs.items() if name != "epoch"})
            self.epochs = number
        if missed and tracker.at_once:
            self._remember(tracker)

    def _remember(self, tracker: Tracker) -> None:
        self.told[self.name] = {"id": tracker.id, "epochs": self.epochs}
        write_atomic(self.folder.path / TRACKING, json.dumps(self.told, indent=1) + "\n")

    @contextlib.contextmanager
    def _lenient(self) -> Iterator[None]:
        """Makes a warning of an error in the block, and ends the tracking."""
        try:
            yield
        except Exception as error:  # of whatever kind a tracker has
            self.tracker = None
            reason = shortened(f"{type(error).__name__}: {error}", WIDTH)
            message = f"warning: {self.name} does not track this run any further ({reason}). The run goes on."
            print(message, file=sys.stderr, flush=True)


def _read(path: Path) -> dict[str, dict]:
    """Tracker -> id and number of epochs; a tracker that is not there is told everything."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: {"id": str(entry["id"]), "epochs": int(entry["epochs"])} for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _flat(settings: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """Settings within each other by joined names, lists as text.

    >>> _flat({"lr": 0.1, "model_arguments": {"dnn_hidden_units": [8, 6]}})
    [('lr', 0.1), ('model_arguments.dnn_hidden_units', '[8, 6]')]
    """
    flat = []
    for name, value in settings.items():
        if isinstance(value, dict):
            flat += _flat(value, f"{before}{name}.")
        else:
            flat.append((before + name, json.dumps(value) if isinstance(value, list) else value))
    return flat
