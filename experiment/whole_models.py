"""What the scripts that train any model of the table share: all but where their data come from."""

from __future__ import annotations

import time
from collections.abc import Callable

from experiment.one_run import train_and_report
from experiment.options import Options, parse_options
from model import build_model
from model.base import CTRModel
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData
from training.distributed import main_first


def train_any_model(dataset: str, load: Callable[[Options], RawData]) -> None:
    """Data, columns, model, compile, fit, evaluate, save, as the command line says.

    dataset: "movielens", ...; load: raw files, or their parsed tables from the cache -> users, items, interactions.
    """
    options = parse_options(dataset)

    start = time.perf_counter()
    with main_first():  # under torchrun: one process downloads or parses, the others find what it left
        raw = load(options)
    if options.max_rows:
        raw = raw.first(options.max_rows)
    data = Dataset.build(raw, **options.split)
    seconds = time.perf_counter() - start

    def build(data: Dataset) -> CTRModel:
        columns = data.feature_columns(**options.columns)
        model = build_model(options.model_name, columns, **options.constructor_arguments)
        model.compile(
            "adam",
            options.loss,
            metrics=["auc", "logloss", "gauc"],
            lr=options.lr,
            embedding_optimizer=options.embedding_optimizer,
        )
        return model

    train_and_report(build, data, options, seconds)
