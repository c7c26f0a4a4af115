"""What each choice of negatives does to AUC and to calibration, on the positives of MovieLens-1M alone.

    python -m benchmarks.negatives --data_path ../shared/data/ml-1m

For each way of training, DSSM under `holdout`: test AUC with uniform and with popular negatives; how far probabilities
are off (ECE) where a positive has as many negatives as in training, and where it has 99, before and after the logits
are corrected for that. Then what it changes to leave out the user's later positives, which training cannot know. The
figures stand in docs/negatives.md.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from model import build_model
from model.base import CTRModel
from preprocessing import dataset
from preprocessing.dataset import Dataset, Split
from preprocessing.load import load_movielens
from preprocessing.negative_sampling import KnownPairs, with_negatives
from preprocessing.negatives import Negatives
from preprocessing.raw import RawData
from preprocessing.split_protocol import SplitProtocol
from training.calibration import calibration
from training.evaluation import predict_logits
from training.metrics import click_probability

WAYS = (
    Negatives("uniform", 1),
    Negatives("uniform", 4),
    Negatives("uniform", 16),
    Negatives("popularity", 4),
    Negatives("in_batch", 4),
)
MANY = 99  # negatives of a test row, in the last columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_path")
    parser.add_argument("--model", default="dssm")
    parser.add_argument("--share", type=float, default=0.2, help="of the positives")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    raw = load_movielens(options.data_path, quiet=True)
    raw = raw.take(np.flatnonzero(raw.label)).sample(options.share, seed=0)
    print(f"{len(raw):,} positives of {len(raw.users):,} users and {len(raw.items):,} items; {options}\n")
    print("| training negatives | AUC, uniform | AUC, popularity | ECE | ECE, 99 | corrected |")
    print("| --- | --: | --: | --: | --: | --: |")
    for negatives in WAYS:
        rows = [_measure(raw, negatives, seed, options) for seed in range(options.seeds)]
        cells = " | ".join("" if math.isnan(value) else f"{value:.4f}" for value in np.mean(rows, axis=0))
        print(f"| {negatives.train}, {negatives.per_positive} | {cells} |", flush=True)
    print("\nAUC where training negatives may be items that the user has in validation and test rows:")
    for protocol in ("holdout", "temporal"):
        for seed in range(options.seeds):
            data = Dataset.build(replace(raw, negatives=Negatives()), protocol, seed)
            with patch.object(dataset, "with_negatives", _blind):
                blind = Dataset.build(replace(raw, negatives=Negatives()), protocol, seed)
            left_out, kept = (_auc(_trained(each, seed, options), data.test) for each in (data, blind))
            print(f"{protocol}, seed {seed}: left out {left_out:.4f}, not left out {kept:.4f}", flush=True)


def _measure(raw: RawData, negatives: Negatives, seed: int, options: argparse.Namespace) -> tuple[float, ...]:
    """One row of the table."""
    data = Dataset.build(replace(raw, negatives=negatives), "holdout", seed)
    model = _trained(data, seed, options)

    def tested(**changes) -> Split:
        return Dataset.build(replace(raw, negatives=replace(negatives, **changes)), "holdout", seed, data.encoding).test

    popular, many = tested(evaluate="popularity"), tested(per_positive=MANY)
    calibrated = (math.nan, math.nan, math.nan)
    if not negatives.in_batch:
        added = math.log(negatives.per_positive / MANY)
        calibrated = (_ece(model, data.test), _ece(model, many), _ece(model, many, added))
    return (_auc(model, data.test), _auc(model, popular), *calibrated)


def _trained(data: Dataset, seed: int, options: argparse.Namespace) -> CTRModel:
    arguments = {"gamma": "learned"} if options.model == "dssm" else {}
    model = build_model(options.model, data.feature_columns(32, history=True), seed=seed, **arguments)
    loss = "in_batch" if data.train.pairs is not None else "binary_crossentropy"
    model.compile("adam", loss, lr=1e-3)
    model.fit(
        data.train, validation_data=data.validation, batch_size=options.batch_size, epochs=options.epochs, verbose=0
    )
    return model


def _blind(raw: RawData, rules: SplitProtocol, seed: int) -> tuple[RawData, SplitProtocol]:
    """`with_negatives`, whose training negatives may be items that the user has in validation and test rows."""
    known = KnownPairs.of(raw.take(rules.splits["train"]))
    rows, expanded = with_negatives(raw, rules, seed)
    with patch.object(KnownPairs, "of", lambda _: known):
        others, _ = with_negatives(raw, rules, seed)
    train = expanded.splits["train"]
    rows.item[train] = others.item[train]
    return rows, expanded


def _auc(model: CTRModel, split: Split) -> float:
    return model.evaluate(split)["auc"]


def _ece(model: CTRModel, split: Split, added: float = 0.0) -> float:
    """added: to each logit."""
    logits = predict_logits(model, split).numpy() + added
    return calibration(split.labels.numpy(), click_probability(logits))["ece"]


if __name__ == "__main__":
    main()
