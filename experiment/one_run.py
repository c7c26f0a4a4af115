"""One run: a model on a data set, trained, evaluated and written to its folder."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiment import stops
from experiment.as_built import as_built
from experiment.defaults import origin, usual_settings, without_new_options
from experiment.edited import edited_functions
from experiment.model_arguments import without_defaults
from experiment.model_card import model_card
from experiment.options import Options
from experiment.record import begin_record, end_record
from experiment.run_name import run_folder
from experiment.script import Interrupted
from experiment.shown_settings import settings_text, unusual_settings
from experiment.torchrun import waiting_for_the_cause
from foundation.shown import visible, visible_lines
from model import MODELS, ModelEntry, name_of
from model.base import CTRModel
from model.layers.embedding_optimizer import choose_embedding_optimizer
from model.retrieval import retrieval_entry
from preprocessing.dataset import Dataset, Split
from preprocessing.leak_probe import OF_FILES, probe, warn_of_leaks
from training import distributed
from training.calibration import calibration
from training.evaluation import split_logits, split_metrics
from training.in_batch import require_fitting_loss
from training.metrics import click_probability
from training.result import closing_table, make_result
from training.result_file import IDENTITY, RUN
from training.run_folder import COMPLETE, ReadOnlyFolder, RunFolder, what_is_saved
from training.training_state import Choice, TrainingState

if TYPE_CHECKING:
    from experiment.tracking import Tracking


@dataclass
class OneRun:
    """A run whose folder is open: of one training, or with --refit of two.

    build: the data -> a compiled model for them. model, data: of the training that it is in.
    preprocess_seconds: that the data took. result: `result.json` as a dict, once there is one; with --resume a finished
    run has it from the beginning. choice: what the first of two trainings has chosen, once it has.
    """

    build: Callable[[Dataset], CTRModel]
    model: CTRModel
    data: Dataset
    options: Options
    preprocess_seconds: float
    folder: RunFolder | ReadOnlyFolder
    tracking: Tracking | None = None
    result: dict | None = None
    choice: Choice | None = None
    validation: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._record = begin_record(self.options.data_path, _place(self.folder), self.options.folder)
        self._start = self._trained = time.perf_counter()

    @property
    def is_open(self) -> bool:
        """Whether there is something to train."""
        return self.result is None

    def trainings(self) -> Iterator[tuple[CTRModel, Split, Split | None]]:
        """What is to be fitted, to which rows, and the rows that validate it, one training after the other.

        With --refit there are two: the first chooses the number of epochs, the second trains a fresh model that long on
        training and validation rows. A resumed run goes on in the one that it was in, a finished one has none.
        """
        if not self.is_open:
            return
        if self.choice is None:
            self._say("Training 1 of 2, whose best epoch says for how many epochs the model is trained anew.")
            yield self.model, self.data.train, self.data.validation
            self.validation = self.model.evaluate(self.data.validation)
            if self.options.refit:
                self.train_anew(self._chosen())
        if self.choice is not None:
            rows = f"the {len(self.data.train):,} training and validation rows together"
            self._say(f"\nTraining 2 of 2, of a fresh model on {rows}.")
            yield self.model, self.data.train, None

    def _say(self, text: str) -> None:
        if self.options.refit and not self.options.quiet:
            print(text, flush=True)

    def _chosen(self) -> Choice:
        state, data = self.folder.state, self.data
        assert state is not None  # `fit` has saved its last epoch
        rows = {split: len(data.split(split)) for split in data.protocol.splits}
        return Choice(state.history, state.best_epoch, self.validation, self._trained - self._start, rows)

    def train_anew(self, choice: Choice) -> None:
        """Makes the second training the one that the run is in, of which the folder then has a checkpoint."""
        start = time.perf_counter()
        data = Dataset.build(self.data.raw, **self.options.split, refit=True)
        self.preprocess_seconds += time.perf_counter() - start
        model = self.build(data)
        if self.folder.state is None or self.folder.state.choice is None:
            assert model.optim is not None  # `build` compiles
            self.folder.save_state(TrainingState.anew(choice, model, model.optim))
        self.model, self.data, self.choice, self.validation = model, data, choice, choice.validation
        self._start = self._trained = time.perf_counter()

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """For `model.fit`, besides the rows: how to train, where an interrupted run goes on, where to save."""
        callbacks = [self.tracking] if self.tracking else None
        own: dict[str, Any] = {"callbacks": callbacks, "state": self.folder.state, "on_epoch": self._save_state}
        if self.choice is not None:  # nothing validates, and the learning rate falls as it did
            own |= {"patience": None, "stop_after": self.choice.best_epoch}
        return self.options.fit_arguments | own

    def _save_state(self, state: TrainingState) -> None:
        state.choice = self.choice
        self.folder.save_state(state)
        self._trained = time.perf_counter()

    def evaluate(self, split: Split) -> tuple[dict[str, float], dict | None]:
        """Every metric that applies, and the calibration, from one pass over the rows; None for the in-batch loss."""
        rows = split.to(self.model.device)
        logits = split_logits(self.model, rows)
        scores = split_metrics(self.model, rows, logits)
        if self.model.click_loss.in_batch:
            return scores, None
        return scores, calibration(rows.labels.cpu().numpy(), click_probability(logits.cpu().numpy()))

    def finish(self, test: tuple[dict[str, float], dict | None]) -> None:
        """Writes the run folder: what was measured, card, history, curves and the model. test: of `evaluate`."""
        model, data, name = self.model, self.data, name_of(self.model)
        entry, state = _entry(name), self.folder.state
        assert state is not None  # `fit` has saved its last epoch
        result = make_result(
            dataset=data,
            model_name=name,
            scores={"validation": self.validation, "test": test[0]},
            calibration=test[1],
            retrieval=retrieval_entry(model, data.test),
            paper=entry.paper.get(data.name),
            parameters=model.num_parameters,
            paper_parameters=entry.paper_parameters.get(data.name),
            state=state,
            split=self.options.split | {"refit": self.options.refit},
            seconds={
                "preprocess": self.preprocess_seconds,
                **({} if self.choice is None else {"choose": self.choice.seconds}),
                "train": self._trained - self._start,
                "evaluate": time.perf_counter() - self._trained,
            },
            config=_config(model, self.options),
        )
        result |= {"defaults": origin(self.options.dataset, self.options.as_released)}
        result |= {IDENTITY: self.folder.identity, RUN: end_record(self._record)}
        card = model_card(model, data, entry, result, unusual_settings(model, self.options))
        self.folder.finish(model, result, state.curve, model.known_with(_extra(model, data)), card)
        self.result = result
        if self.tracking:
            self.tracking.finish(result)


@contextlib.contextmanager
def one_run(
    build: Callable[[Dataset], CTRModel], data: Dataset, options: Options, preprocess_seconds: float
) -> Iterator[OneRun]:
    """Opens the run folder, shows the settings; at the end prints the closing table. In between the model is trained.

    build: data -> a compiled model for them; called again for a second training.

    The model counts, not --model_name: a script whose model line was edited reports what it trained.
    Raises `Interrupted` on Ctrl-C, after leaving the folder usable.
    """
    model = build(data)
    require_fitting_loss(model.click_loss, data.train, type(model).__name__)
    options = as_built(options, model)
    name, group = name_of(model), distributed.current()
    identity = group.once(lambda: _identity(model, data, options))  # devices differ
    if options.embedding_optimizer == choose_embedding_optimizer(model, None, "adam"):
        options = replace(options, embedding_optimizer=None)  # asked for what it would be anyway: the same run
    path = run_folder(options, data.name, name, edited_functions(model))
    opened: list[RunFolder] = []
    run: OneRun | None = None
    try:
        with contextlib.ExitStack() as stack:

            def begin() -> tuple[bool, dict | None]:
                opened.append(stack.enter_context(RunFolder(path, identity, options.resume, options.overwrite)))
                return opened[0].state is not None, opened[0].result

            resumes, finished = group.once(begin)  # the others look into it when the main process has tidied it up
            folder = opened[0] if opened else ReadOnlyFolder(path, identity, resumes)
            if folder.notice:
                print(visible_lines(folder.notice), file=sys.stderr, flush=True)
            run = OneRun(build, model, data, options, preprocess_seconds, folder, result=finished)
            if finished is None:
                if not options.quiet:
                    print(settings_text(model, data, options, _place(folder)))
                    print(f"Writes to: {visible(path)}\n", flush=True)
                if group.is_main:
                    warn_of_leaks(probe(data, OF_FILES))
                if folder.state is not None and folder.state.choice is not None:
                    run.train_anew(folder.state.choice)
                stack.enter_context(_left_usable(run))
                run.tracking = stack.enter_context(_tracking(data, options, folder, _config(model, options)))
                stack.enter_context(waiting_for_the_cause())
            elif not options.quiet:
                print("This run is finished: there is nothing to continue.")
            yield run
        if not options.quiet:
            print()
        if run.result is not None:
            print(closing_table(run.result, visible(_entry(name).title)))
        print(f"Run folder: {visible(path)}", flush=True)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # before the folder was open, or after the run
        stops.end()
        complete = (run is not None and run.result is not None) or any(one.complete for one in opened)
        raise Interrupted(COMPLETE.format(folder=path) if complete else what_is_saved(path)) from None


def train_and_report(
    build: Callable[[Dataset], CTRModel], data: Dataset, options: Options, preprocess_seconds: float
) -> dict | None:
    """Fits the model, scores validation and test once, writes the run folder, prints the closing table.

    build: data -> a compiled model for them.
    Returns `result.json` as a dict. With --resume a finished run is its own result, and nothing is trained.
    """
    with one_run(build, data, options, preprocess_seconds) as run:
        for model, train, validation in run.trainings():
            model.fit(train, validation_data=validation, **run.fit_arguments)
        if run.is_open:
            run.finish(test=run.evaluate(run.data.test))
    return run.result


def _place(folder: RunFolder | ReadOnlyFolder) -> str | None:
    """Where the interrupted run stood that goes on, None for a new one."""
    return None if folder.state is None else folder.state.place


def _config(model: CTRModel, options: Options) -> dict[str, Any]:
    """What decides the result: the options, and what the model says of itself."""
    actual = {"model_name": name_of(model), "model_arguments": model.settings}
    return _plain(options.config | actual | {"embedding_optimizer": model.embedding_optimizer})


def _identity(model: CTRModel, data: Dataset, options: Options) -> dict[str, Any]:
    """What a run must share with an interrupted one to continue it."""
    name = name_of(model)
    usual = usual_settings(name, options.dataset, options.protocol, options.as_released) if name in MODELS else {}
    told = {"model_arguments": _plain(without_defaults(name, usual, model.settings))}
    known = {"dataset": data.name, "data_sha256": data.raw.fingerprint, "edited": model.editable}
    return {**known, **without_new_options(_config(model, options)), **told}


def _extra(model: CTRModel, data: Dataset) -> dict[str, Any]:
    """What `config.json` says of the data."""
    known = {"model": name_of(model), "dataset": data.name, "protocol": data.protocol.name}
    return known | data.encoding_json()


def _entry(name: str) -> ModelEntry:
    return MODELS.get(name, ModelEntry(title=name, path=""))


@contextlib.contextmanager
def _left_usable(run: OneRun) -> Iterator[None]:
    """On Ctrl-C writes the model so far, and says by `Interrupted` what there is."""
    try:
        yield
    except KeyboardInterrupt:
        stops.end()
        known = run.model.known_with(_extra(run.model, run.data))
        raise Interrupted(run.folder.interrupted(run.model, known)) from None


def _tracking(
    data: Dataset, options: Options, folder: RunFolder | ReadOnlyFolder, config: dict
) -> contextlib.AbstractContextManager[Tracking | None]:
    """What tells a tracker of the run, None without one, in a `with` statement. The main process alone tells it."""
    if options.track is None or isinstance(folder, ReadOnlyFolder):
        return contextlib.nullcontext()
    from experiment.tracking import Tracking

    settings = {"dataset": data.name, "data_sha256": data.raw.fingerprint, **config}
    return Tracking(options.track, folder, data.name, settings, options.quiet)


def _plain(value):
    """As JSON will give it back: tuples as lists, numpy's numbers as Python's."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
