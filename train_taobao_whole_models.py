"""Train any model of the table on Alibaba's display advertising data (Taobao): --model_name int_tower, dssm, lr, ..."""

import time

from experiment.one_run import train_and_report
from experiment.options import parse_options
from experiment.script import run
from model import MODELS, build_model
from preprocessing.dataset import Dataset
from preprocessing.load import load_taobao
from training.distributed import main_first


def main() -> None:
    options = parse_options("taobao")

    # Raw files, or their parsed tables from the cache -> users, items and interactions, split and encoded.
    start = time.perf_counter()
    with main_first():  # under torchrun: one process parses, the others find its cache
        raw = load_taobao(options.data_path, options.pid_placement, options.cache)
    raw = raw.sample(options.sample_rate, options.seed)
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
