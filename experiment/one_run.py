"""One run: a model on a data set, trained, evaluated and written to its folder."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from experiment import stops
from experiment.options import Options, run_folder, without_defaults
from experiment.record import begin_record, end_record
from experiment.script import Interrupted
from experiment.shown_settings import settings_text
from experiment.torchrun import waiting_for_the_cause
from foundation.deepctr import Callback
from foundation.shown import visible, visible_lines
from model import MODELS, ModelEntry, name_of
from model.base import CTRModel
from model.layers.embedding_optimizer import choose_embedding_optimizer
from preprocessing.dataset import Dataset
from training import distributed
from training.calibration import calibration
from training.evaluation import split_logits, split_metrics
from training.metrics import click_probability
from training.result import closing_table, make_result
from training.result_file import IDENTITY, RUN
from training.run_folder import COMPLETE, ReadOnlyFolder, RunFolder, what_is_saved


def train_and_report(model: CTRModel, data: Dataset, options: Options, preprocess_seconds: float) -> dict:
    """Fits the model, scores validation and test once, writes the run folder, prints the closing table.

    The model counts, not --model_name: a script whose model line was edited reports what it trained.
    Returns `result.json` as a dict. With --resume a finished run is its own result, and nothing is trained.
    Raises `Interrupted` on Ctrl-C, after leaving the folder usable.
    """
    name = name_of(model)
    actual = {"model_name": name, "model_arguments": model.settings, "embedding_optimizer": model.embedding_optimizer}
    config = _plain(options.config | actual)
    group = distributed.current()
    told = {"model_arguments": _plain(without_defaults(name, options.dataset, model.settings))}
    identity = {"dataset": data.name, "data_sha256": data.raw.fingerprint, "edited": model.editable, **config, **told}
    identity = group.once(lambda: identity)  # devices differ
    if options.embedding_optimizer == choose_embedding_optimizer(model, None, "adam"):
        options = replace(options, embedding_optimizer=None)  # asked for what it would be anyway: the same run
    path = run_folder(options, data.name, name)
    opened: list[RunFolder] = []
    result = None
    try:
        with contextlib.ExitStack() as stack:

            def begin() -> tuple[bool, dict | None]:
                opened.append(stack.enter_context(RunFolder(path, identity, options.resume, options.overwrite)))
                return opened[0].state is not None, opened[0].result

            resumes, result = group.once(begin)  # the others look into it when the main process has tidied it up
            folder = opened[0] if opened else ReadOnlyFolder(path, identity, resumes)
            if folder.notice:
                print(visible_lines(folder.notice), file=sys.stderr, flush=True)
            if result is None:
                if not options.quiet:
                    print(settings_text(model, data, options, folder.state and folder.state.place))
                    print(f"Writes to: {visible(path)}\n", flush=True)
                result = _train(model, data, options, preprocess_seconds, folder, config)
            elif not options.quiet:
                print("This run is finished: there is nothing to continue.")
        if not options.quiet:
            print()
        print(closing_table(result, visible(_entry(name).title)))
        print(f"Run folder: {visible(path)}", flush=True)
    except Interrupted:
        raise
    except KeyboardInterrupt:  # before the folder was open, or after the run
        stops.end()
        complete = result is not None or any(one.complete for one in opened)
        raise Interrupted(COMPLETE.format(folder=path) if complete else what_is_saved(path)) from None
    return result


def _entry(name: str) -> ModelEntry:
    return MODELS.get(name, ModelEntry(title=name, path=""))


def _train(
    model: CTRModel,
    data: Dataset,
    options: Options,
    preprocess_seconds: float,
    folder: RunFolder | ReadOnlyFolder,
    config: dict,
) -> dict:
    """Trains, scores, and writes the folder. Returns `result.json`."""
    name = config["model_name"]
    extra = {"model": name, "dataset": data.name, "protocol": options.protocol, **data.encoding_json()}
    entry = _entry(name)
    with _left_usable(folder, model, extra), _tracking(data, options, folder, config) as tracking:
        record = begin_record(options.data_path, folder.state and folder.state.place)
        start = time.perf_counter()
        with waiting_for_the_cause():
            _fit(model, data, options, folder, [tracking] if tracking else None)
            trained = time.perf_counter()
            test = data.test.to(model.device)
            logits = split_logits(model, test)
            scores = {"validation": model.evaluate(data.validation), "test": split_metrics(test, logits)}
        result = make_result(
            dataset=data,
            model_name=name,
            scores=scores,
            calibration=calibration(test.labels.cpu().numpy(), click_probability(logits.cpu().numpy())),
            paper=entry.paper.get(data.name),
            parameters=model.num_parameters,
            paper_parameters=entry.paper_parameters.get(data.name),
            history=folder.state.history,
            best_epoch=folder.state.best_epoch,
            seconds={
                "preprocess": preprocess_seconds,
                "train": trained - start,
                "evaluate": time.perf_counter() - trained,
            },
            config=config,
        )
        result |= {IDENTITY: folder.identity, RUN: end_record(record)}
        folder.finish(model, result, folder.state.history, model.known_with(extra))
        if tracking:
            tracking.finish(result)
    return result


def _fit(
    model: CTRModel,
    data: Dataset,
    options: Options,
    folder: RunFolder | ReadOnlyFolder,
    callbacks: list[Callback] | None,
) -> None:
    model.fit(
        data.train,
        validation_data=data.validation,
        batch_size=options.batch_size,
        epochs=options.epochs,
        patience=options.patience,
        precision=options.precision,
        published_eval_mode=options.published_eval_mode,
        lr_schedule=options.lr_schedule,
        checkpoint_minutes=options.checkpoint_minutes,
        verbose=0 if options.quiet else 1,
        callbacks=callbacks,
        state=folder.state,
        on_epoch=folder.save_state,
    )


@contextlib.contextmanager
def _left_usable(folder: RunFolder | ReadOnlyFolder, model: CTRModel, extra: dict) -> Iterator[None]:
    """On Ctrl-C writes the model so far, and says by `Interrupted` what there is."""
    try:
        yield
    except KeyboardInterrupt:
        stops.end()
        raise Interrupted(folder.interrupted(model, model.known_with(extra))) from None


def _tracking(data: Dataset, options: Options, folder: RunFolder | ReadOnlyFolder, config: dict):
    """What tells a tracker of the run, None without one, in a `with` statement. The main process alone tells it."""
    if options.track is None or not distributed.current().is_main:
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
