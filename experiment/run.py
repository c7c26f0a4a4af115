"""One run: a model on a data set, trained, evaluated and written to its folder."""

from __future__ import annotations

import time
from dataclasses import asdict

from experiment.main import Interrupted
from experiment.options import Options, run_folder
from experiment.processes import waiting_for_the_cause
from model import MODELS, name_of
from model.base import CTRModel
from model.layers.tables import table_size
from preprocessing.dataset import Dataset
from training import distributed
from training.checkpoint import TrainingState
from training.report import closing_table, make_result
from training.run_folder import RunFolder

UPDATES = {
    "dense": "all updated in each step (--embedding_optimizer dense)",
    "rowwise": "of which a step updates those of its batch (--embedding_optimizer rowwise)",
}


def train_and_report(model: CTRModel, data: Dataset, options: Options, preprocess_seconds: float) -> dict:
    """Fits the model, scores validation and test once, writes the run folder, prints the closing table.

    The model counts, not --model_name: a script whose model line was edited reports what it trained.
    Returns `result.json` as a dict.
    Raises `Interrupted` on Ctrl-C, after leaving the folder usable.
    """
    name = name_of(model)
    title, paper = (MODELS[name].title, MODELS[name].paper.get(data.name)) if name in MODELS else (name, None)
    actual = {"model_name": name, "model_arguments": model.settings, "embedding_optimizer": model.embedding_optimizer}
    config = _plain(options.config | actual)
    identity = {"dataset": data.name, "data_sha256": data.raw.fingerprint, **config}
    group = distributed.current()
    identity = group.once(lambda: identity)  # devices differ
    folder = (RunFolder if group.is_main else ReadOnlyFolder)(
        run_folder(options, data.name, name), identity, options.resume
    )
    extra = {
        "model": name,
        "dataset": data.name,
        "protocol": options.protocol,
        "columns": {"schema": asdict(data.schema)},
        **data.encoding_json(),
    }
    if model.embedding_optimizer:
        print(f"Embeddings: {table_size(model):,} numbers, {UPDATES[model.embedding_optimizer]}")
    start = time.perf_counter()
    try:
        with waiting_for_the_cause():
            model.fit(
                data.train,
                validation_data=data.validation,
                batch_size=options.batch_size,
                epochs=options.epochs,
                patience=options.patience,
                precision=options.precision,
                published_eval_mode=options.published_eval_mode,
                lr_schedule=options.lr_schedule,
                verbose=0 if options.quiet else 1,
                state=folder.state,
                on_epoch=folder.save_state,
            )
            trained = time.perf_counter()
            scores = {"validation": model.evaluate(data.validation), "test": model.evaluate(data.test)}
    except KeyboardInterrupt:
        raise Interrupted(folder.interrupted(model, extra)) from None
    result = make_result(
        dataset=data,
        model_name=name,
        scores=scores,
        paper=paper,
        parameters=model.num_parameters,
        history=folder.state.history,
        best_epoch=folder.state.best_epoch,
        seconds={
            "preprocess": preprocess_seconds,
            "train": trained - start,
            "evaluate": time.perf_counter() - trained,
        },
        config=config,
    )
    folder.finish(model, result, folder.state.history, extra)
    print(closing_table(result, title))
    print(f"Run folder: {folder.path}")
    return result


def _plain(value):
    """Tuples as lists, as JSON will give them back."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value


class ReadOnlyFolder(RunFolder):
    """The run folder as all processes but the main one see it: they resume from it and write nothing."""

    def _require_writable(self) -> None:
        pass

    def save_state(self, state: TrainingState) -> None:
        self.state, self.saved_epochs = state, state.epoch

    def finish(self, *_) -> None:
        pass

    def interrupted(self, *_) -> str:
        return ""
