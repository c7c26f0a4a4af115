"""One run: a model on a data set, trained, evaluated and written to its folder."""

from __future__ import annotations

import sys
import time

from experiment.main import Interrupted
from experiment.options import Options, run_folder
from experiment.processes import waiting_for_the_cause
from model import MODELS, ModelEntry, name_of
from model.base import CTRModel
from model.layers.tables import table_size
from preprocessing.dataset import Dataset
from training import distributed
from training.calibration import calibration
from training.metrics import click_probability
from training.report import closing_table, make_result
from training.run_folder import ReadOnlyFolder, RunFolder
from training.trainer import split_logits, split_metrics

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
    actual = {"model_name": name, "model_arguments": model.settings, "embedding_optimizer": model.embedding_optimizer}
    config = _plain(options.config | actual)
    group = distributed.current()
    identity = {"dataset": data.name, "data_sha256": data.raw.fingerprint, **config}
    identity = group.once(lambda: identity)  # devices differ
    kind = RunFolder if group.is_main else ReadOnlyFolder
    with kind(run_folder(options, data.name, name), identity, options.resume) as folder:
        if folder.notice:
            print(f"warning: {folder.notice}", file=sys.stderr, flush=True)
        return _train(model, data, options, preprocess_seconds, folder, config)


def _train(
    model: CTRModel, data: Dataset, options: Options, preprocess_seconds: float, folder: RunFolder, config: dict
) -> dict:
    name = config["model_name"]
    entry = MODELS.get(name, ModelEntry(title=name, path=""))
    extra = {
        "model": name,
        "dataset": data.name,
        "protocol": options.protocol,
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
                checkpoint_minutes=options.checkpoint_minutes,
                verbose=0 if options.quiet else 1,
                state=folder.state,
                on_epoch=folder.save_state,
            )
            trained = time.perf_counter()
            test = data.test.to(model.device)
            logits = split_logits(model, test)
            scores = {"validation": model.evaluate(data.validation), "test": split_metrics(test, logits)}
    except KeyboardInterrupt:
        raise Interrupted(folder.interrupted(model, extra)) from None
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
    folder.finish(model, result, folder.state.history, extra)
    print(closing_table(result, entry.title))
    print(f"Run folder: {folder.path}")
    return result


def _plain(value):
    """Tuples as lists, as JSON will give them back."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, (list, tuple)) else value
