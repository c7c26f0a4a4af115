"""From result files to a table of runs, and from that to means, intervals and paired differences."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats  # which scikit-learn brings

from foundation.errors import InputError
from leaderboard.filed import read_json
from preprocessing.protocol import PROTOCOLS
from training.metrics import rela_impr

RESULT_FILES = "*/**/seed*.json"  # below a protocol: tuning has a folder beside them


def load_runs(folder: Path) -> pd.DataFrame:
    """One row a result file of one data set: what it ran, test and validation scores, sizes, seconds, the code.

    ece, bins: calibration of the test rows.  test_share: test rows / training rows.  NaN and None in files without.
    epoch_auc: validation AUC by epoch (GBDT: by tree).
    Raises `InputError` for a damaged file, and for one that is no result.
    """
    rows = []
    for path in sorted(path for protocol in PROTOCOLS for path in (folder / protocol).glob(RESULT_FILES)):
        try:
            rows.append(_row(read_json(path)))
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no result of a run ({error!r}). Move it away and run again.") from None
    return pd.DataFrame(rows)


def _row(result: dict) -> dict:
    calibration, split = result.get("calibration") or {}, result.get("rows", {})
    return {
        **{name: result[name] for name in ("protocol", "model", "seed", "parameters", "best_epoch")},
        "variant": result.get("variant", ""),
        **{name: _number(value) for name, value in result["test"].items()},
        **{f"validation_{name}": _number(value) for name, value in result["validation"].items()},
        "ece": calibration.get("ece", float("nan")),
        "bins": calibration.get("bins"),
        "epoch_auc": result.get("history", {}).get("val_auc", []),
        "test_share": split["test"] / split["train"] if split else float("nan"),
        "best_possible_auc": _number(result.get("best_possible_auc")),
        "train_seconds": result["seconds"]["train"],
        "sources": result.get("code", {}).get("sources_sha256", "unknown"),
    }


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the half-width of its 95 % interval (Student's t); NaN for a single seed.

    >>> estimate = Estimate.of([1.0, 2.0, 3.0])  # s = 1, t(0.975, 2) = 4.3027, 4.3027 / sqrt(3)
    >>> estimate.mean, round(estimate.half_width, 4), estimate.count
    (2.0, 2.4841, 3)
    """

    mean: float
    half_width: float
    count: int

    @classmethod
    def of(cls, values, overlap: float = 0.0) -> Estimate:
        """overlap: see `error_of_mean`."""
        values = np.asarray(values, dtype=np.float64)
        count = len(values)
        if count < 2:
            return cls(float(values.mean()) if count else float("nan"), float("nan"), count)
        return cls(float(values.mean()), float(stats.t.ppf(0.975, count - 1) * error_of_mean(values, overlap)), count)

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside the interval; never for a single seed."""
        return abs(self.mean) > self.half_width


def error_of_mean(values: np.ndarray, overlap: float = 0.0) -> float:
    """s sqrt(1/n + overlap): the standard error of a mean, with 0.

    overlap: test rows / training rows where each value is of another random split of the same rows, which makes values
    alike and plain errors too small (Nadeau and Bengio, Inference for the Generalization Error, 2003).

    >>> values = np.array([1.0, 2.0, 3.0, 4.0])  # s = sqrt(5 / 3)
    >>> round(error_of_mean(values), 4), round(error_of_mean(values, 0.75), 4)
    (0.6455, 1.291)
    """
    return float(values.std(ddof=1) * np.sqrt(1 / len(values) + overlap))


@dataclass(frozen=True)
class Difference:
    """The mean difference of two models over the seeds that both have, its interval, and the paired t-test's p.

    by_seed: the differences that it is the mean of.
    """

    estimate: Estimate
    p_value: float
    by_seed: tuple[float, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside the 95 % interval; never for a single seed."""
        return self.estimate.is_clear


def compare(runs: pd.DataFrame, first: str, second: str, metric: str = "auc", overlap: float = 0.0) -> Difference:
    """first minus second. runs: of one protocol, one row a model and seed; models share the test rows of a seed.

    overlap: see `error_of_mean`.
    """
    table = runs.pivot(index="seed", columns="model", values=metric)
    pairs = table.reindex(columns=[first, second]).dropna()
    differences = (pairs[first] - pairs[second]).to_numpy()
    test = paired_p_value(differences, overlap)
    return Difference(Estimate.of(differences, overlap), test, tuple(differences.tolist()))


def paired_p_value(differences: np.ndarray, overlap: float = 0.0) -> float:
    """Of Student's t-test that their mean is 0, two-sided; NaN for a single one. overlap: see `error_of_mean`.

    >>> round(paired_p_value(np.array([1.0, 2.0, 3.0])), 4)  # t = 2 * sqrt(3), 2 degrees of freedom
    0.0742
    """
    count = len(differences)
    if count < 2:
        return float("nan")
    mean, error = differences.mean(), error_of_mean(differences, overlap)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, count - 1))


def relative_improvement(runs: pd.DataFrame, model: str, baseline: str = "dssm") -> Estimate:
    """RelaImpr (`training.metrics.rela_impr`) seed by seed, over the seeds where it is defined: a baseline off 0.5."""
    table = runs.pivot(index="seed", columns="model", values="auc")
    pairs = table.reindex(columns=list(dict.fromkeys([model, baseline]))).dropna()
    aucs = zip(pairs[model], pairs[baseline], strict=True)
    return Estimate.of([rela_impr(auc, of_baseline) for auc, of_baseline in aucs if of_baseline != 0.5])
