"""What a run leaves to read: `result.json`, `history.csv`, `curves.png` and the closing table."""

from __future__ import annotations

import math
import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import pandas as pd
import torch

from foundation.shown import shortened, visible
from preprocessing.dataset import Dataset
from preprocessing.load import reader_of
from preprocessing.raw import whole_name
from training.calibration import BINS
from training.pictures import draw_png
from training.retrieval_shown import retrieval_lines
from training.training_state import TrainingState

LEAK = "The published protocol leaks test labels: {}. For an honest number: --protocol holdout or --protocol temporal."
GAUC_NOTE = "GAUC: AUC per user, weighted by the user's impressions; users of one class left out."
NO_PROBABILITIES = "The in-batch loss learns an order: scores are no click probabilities, so logloss is not measured."
PACKAGES = ("torch", "deepctr-torch", "pandas", "numpy", "scikit-learn")


def make_result(
    *,
    dataset: Dataset,
    model_name: str,
    scores: dict[str, dict[str, float]],
    calibration: dict | None,
    retrieval: dict | None,
    paper: tuple[float, float] | None,
    parameters: int,
    paper_parameters: int | None,
    state: TrainingState,
    split: dict[str, Any],
    seconds: dict[str, float],
    config: dict,
) -> dict:
    """`result.json`.

    scores: "validation" and "test" -> metrics. calibration: of the test rows (`training.calibration`), None for scores
    that are no click probabilities.
    retrieval: of the test rows of a two-tower model (`model.retrieval.retrieval_entry`), None of another one.
    paper: published (AUC, logloss), if any. state: at the end of the run. split: keywords of `Dataset.build` that build
    the data of the tested model again.

    Where a model was trained anew, "validation", "epochs" and "best_epoch" are of the training that chose for how long,
    and "rows", "test" and the speed of the other.
    """
    best_possible = dataset.best_possible_auc("test")
    rows, choice = len(dataset.train) * len(state.history), state.choice
    return {
        "dataset": dataset.name,
        "data_sha256": dataset.raw.fingerprint,
        "protocol": dataset.protocol.name,
        "leaks_labels": dataset.protocol.leaks_labels,
        **({"leak": dataset.protocol.leak} if dataset.protocol.leak else {}),
        "model": model_name,
        "seed": dataset.seed,
        "split": split,
        **({} if dataset.raw.negatives is None else {"negatives": asdict(dataset.raw.negatives)}),
        "rows": {split: len(dataset.split(split)) for split in dataset.protocol.splits},
        "test": _without_nan(scores["test"]),
        "validation": _without_nan(scores["validation"]),
        "calibration": calibration,
        **({} if retrieval is None else {"retrieval": {"test": retrieval}}),
        "paper": None if paper is None else {"auc": paper[0], "logloss": paper[1]},
        **({} if best_possible is None else {"best_possible_auc": best_possible}),
        "parameters": parameters,
        "paper_parameters": paper_parameters,
        "epochs": len(state.curve),
        "best_epoch": state.kept,
        **({} if choice is None else {"refit": {"epochs": len(state.history), "chosen_on": choice.rows}}),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "train_rows_per_second": round(rows / sum(epoch["seconds"] for epoch in state.history)),
        "threads": torch.get_num_threads(),
        "config": config,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def _without_nan(scores: dict[str, float]) -> dict[str, float | None]:
    """JSON has no NaN, which GAUC is if every user has labels of one class."""
    return {name: None if math.isnan(score) else score for name, score in scores.items()}


SCORES = (("AUC", "auc"), ("logloss", "logloss"), ("GAUC", "gauc"))


def closing_table(result: dict, title: str) -> str:
    """The last thing that a script prints: what was measured, on what, and the paper's numbers if it has the data."""
    paper = result["paper"] or {}
    cells = [
        ("model", title),
        *((name, "-" if result["test"][key] is None else f"{result['test'][key]:.4f}") for name, key in SCORES),
    ]
    whole = whole_name(result["dataset"])
    if paper or reader_of(whole):  # no paper has data of one's own
        cells += [(f"paper {name}", f"{paper[key]:.4f}" if paper else "-") for name, key in SCORES[:2]]
    if "best_possible_auc" in result:
        cells.append(("best possible AUC", f"{result['best_possible_auc']:.4f}"))
    widths = [max(len(head), len(value)) for head, value in cells]
    lines = [
        f"Test results on {visible(result['dataset'])}, protocol {result['protocol']}, seed {result['seed']}",
        "  ".join(head.ljust(width) for (head, _), width in zip(cells, widths, strict=True)).rstrip(),
        "  ".join("-" * width for width in widths),
        "  ".join(value.ljust(width) for (_, value), width in zip(cells, widths, strict=True)).rstrip(),
        _validation_line(result),
        GAUC_NOTE,
        _calibration_line(result),
        _parameters_line(result),
        *retrieval_lines(result),
    ]
    if result["leaks_labels"]:
        lines.append(LEAK.format(result["leak"]))
        if result["test"]["auc"] > result.get("best_possible_auc", 1.0):
            lines.append("An AUC above the best possible one is what this leak looks like.")
    elif paper:
        lines.append("The paper's numbers are under the published protocol, which leaks test labels.")
    if not paper and whole != result["dataset"] and reader_of(whole):
        lines.append(f"The paper columns are empty: papers have the whole of {whole}, and this is a part of it.")
    return "\n".join(lines)


def _validation_line(result: dict) -> str:
    best = f"best at epoch {result['best_epoch']} of {result['epochs']}"
    kept = ", whose weights were kept."
    if "refit" in result:
        kept = "; the tested model was trained anew that long, on training and validation rows."
    return f"Validation AUC: {result['validation']['auc']:.4f}, {best}{kept}"


def _calibration_line(result: dict) -> str:
    if result["calibration"] is None:
        return NO_PROBABILITIES
    sampled = " Their negatives are sampled (docs/negatives.md)." if "negatives" in result else ""
    ece = result["calibration"]["ece"]
    return f"Calibration: probabilities are off by {ece:.4f} on average (ECE, {BINS} bins).{sampled}"


def _parameters_line(result: dict) -> str:
    published = result["paper_parameters"]
    beside = f"; the paper's model has {published / 1e6:.2f} million" if published else ""
    return f"Parameters: {result['parameters']:,}{beside}."


def history_csv(history: list[dict[str, float]]) -> str:
    """One row an epoch."""
    return pd.DataFrame(history).to_csv(index=False)


def curves_png(history: list[dict[str, float]], title: str, best: int | None = None) -> bytes:
    """AUC and losses by epoch, training beside validation. Raises `PictureError`.

    best: the epoch that is marked; None marks nothing.
    """

    def paint(figure: Any) -> None:
        frame = pd.DataFrame(history).set_index("epoch")
        left, right = figure.subplots(1, 2)
        named = [
            name for name in frame if name not in ("seconds", "rows_per_second", "loss") and not name.startswith("val_")
        ]
        losses = [name for name in named if name not in ("auc", "ctr")]
        for axis, names in ((left, ["auc"]), (right, losses or ["loss"])):
            for name in names:
                for column, rows in ((name, "training"), (f"val_{name}", "validation")):
                    if column in frame:  # rows that are all positives have no AUC
                        axis.plot(frame.index, frame[column], marker="o", label=f"{name}, {rows}")
            if best is not None:
                axis.axvline(best, color="gray", linestyle="--", zorder=0, label=f"epoch {best}, best")
            axis.set_xlabel("epoch")
            axis.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            axis.grid(alpha=0.3)
            if axis.get_legend_handles_labels()[0]:
                axis.legend()
        left.set_title("AUC")
        right.set_title("Losses")
        figure.suptitle(shortened(title, 120))

    return draw_png((10, 4), paint)
