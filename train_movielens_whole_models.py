"""Train any model of the table on MovieLens-1M: --model_name int_tower, dssm, lr, ..."""

import time

from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.script import run
from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens
from training.distributed import main_first


def main() -> None:
    options = parse_options("movielens")

    start = time.perf_counter()
    with main_first():  # under torchrun: one process downloads
        raw = load_movielens(options.data_path, quiet=options.quiet)
    if options.max_rows:
        raw = raw.first(options.max_rows)
    data = Dataset.build(raw, options.protocol, options.seed)
    seconds = time.perf_counter() - start

    columns = data.feature_columns(options.embedding_dim, history=MODELS[options.model_name].history)
    arguments = options.model_arguments | ({} if options.dropout is None else {"dnn_dropout": options.dropout})
    model = build_model(options.model_name, columns, device=options.device, seed=options.seed, **arguments)
    model.compile(
        "adam",
        "binary_crossentropy",
        metrics=["auc", "logloss", "gauc"],
        lr=options.lr,
        embedding_optimizer=options.embedding_optimizer,
    )

    train_and_report(model, data, options, seconds)


if __name__ == "__main__":
    run(main)
