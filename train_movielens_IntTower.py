"""Train IntTower on MovieLens-1M and print test AUC and logloss beside the paper's: this repository's main job."""

import time

from experiment.one_run import one_run
from experiment.options import parse_options
from experiment.script import run as run_script
from model.base import CTRModel
from model.IntTower import IntTower
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens
from training.distributed import main_first


def main() -> None:
    options = parse_options("movielens", model_name="int_tower")

    # Raw files -> users, items and interactions, split under the protocol and encoded.
    start = time.perf_counter()
    with main_first():  # under torchrun: one process downloads
        raw = load_movielens(options.data_path, quiet=options.quiet)
    if options.max_rows:
        raw = raw.first(options.max_rows)
    data = Dataset.build(raw, **options.split)
    seconds = time.perf_counter() - start

    # The feature columns, for two towers and for a ranking model, and the model. To train another one, change its line:
    #     from model.dcn import DCN
    #     model = DCN(
    #         linear_feature_columns, dnn_feature_columns, task="binary", dnn_dropout=dropout, device=device, seed=seed
    #     )
    def build(data: Dataset) -> CTRModel:
        columns = data.feature_columns(**options.columns)
        user_feature_columns, item_feature_columns = columns.user, columns.item
        linear_feature_columns = dnn_feature_columns = columns.all  # noqa: F841 (for the model that replaces IntTower)
        dropout, device, seed = options.dropout or 0.0, options.device, options.seed
        model = IntTower(
            user_feature_columns,
            item_feature_columns,
            task="binary",
            dnn_dropout=dropout,
            device=device,
            seed=seed,
            **options.model_arguments,
        )
        model.compile(
            "adam",
            options.loss,
            metrics=["auc", "logloss", "gauc"],
            lr=options.lr,
            embedding_optimizer=options.embedding_optimizer,
        )
        return model

    # Fit with early stopping on validation AUC, score validation and test rows once, write the run folder. With --refit
    # a fresh model is fitted to training and validation rows, for as many epochs as were best, and that one is tested.
    # Around it the settings and the closing table are printed; a run that --resume finds finished is left as it is.
    with one_run(build, data, options, seconds) as run:
        for model, train, validation in run.trainings():
            model.fit(train, validation_data=validation, **run.fit_arguments)
        if run.is_open:
            run.finish(test=run.evaluate(run.data.test))


if __name__ == "__main__":
    run_script(main)
