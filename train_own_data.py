"""Train any model of the table on data of your own: a folder with a dataset.toml (docs/own_data.md).

python train_own_data.py FOLDER --model_name hit     train, test and write a run folder
python train_own_data.py --describe FOLDER           say what the data are; without a dataset.toml, write a first one
"""

import sys

from experiment.describe_data import DESCRIBE, describe_data
from experiment.own_data import load
from experiment.script import run
from experiment.whole_models import train_any_model


def main() -> None:
    if DESCRIBE in sys.argv:
        describe_data(sys.argv[1:])
    else:
        train_any_model("own", load)


if __name__ == "__main__":
    run(main)
