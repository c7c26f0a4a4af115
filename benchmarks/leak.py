"""What the mean labels of user and item say about the test labels, per protocol, by a logistic regression on these two.

python -m benchmarks.leak [--data_path ...]
"""

from __future__ import annotations

import argparse

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from experiment.main import run
from preprocessing.dataset import Dataset, Split
from preprocessing.download import load_movielens
from preprocessing.protocol import PROTOCOLS


def statistics(split: Split) -> torch.Tensor:
    """(n, 2): the mean label of each row's user and of its item."""
    schema = split.dataset.schema
    names = [schema.user_statistic, schema.item_statistic]
    return torch.stack([split.batch(torch.arange(len(split)), names)[name] for name in names], dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--seed", type=int, default=1023)
    options = parser.parse_args()
    raw = load_movielens(options.data_path)
    for protocol in PROTOCOLS:
        data = Dataset.build(raw, protocol, options.seed)
        model = LogisticRegression(C=100.0).fit(statistics(data.train), data.train.labels)
        auc = roc_auc_score(data.test.labels, model.decision_function(statistics(data.test)))
        print(f"{data.name}, {protocol}: test AUC {auc:.4f}")


if __name__ == "__main__":
    run(main)
