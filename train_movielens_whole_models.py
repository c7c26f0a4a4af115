"""Train any model of the table on MovieLens-1M: --model_name int_tower, dssm, lr, ..."""

from experiment.options import Options
from experiment.script import run
from experiment.whole_models import train_any_model
from preprocessing.load import load_movielens
from preprocessing.raw import RawData


def load(options: Options) -> RawData:
    return load_movielens(options.data_path, quiet=options.quiet)


def main() -> None:
    train_any_model("movielens", load)


if __name__ == "__main__":
    run(main)
