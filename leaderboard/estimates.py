"""Means over seeds with their intervals, and paired differences: none of either from fewer than `FEWEST_SEEDS`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from training.metrics import rela_impr

# The spread of two values says little: their 95 % interval reaches 12.7 standard errors to each side.
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the half-width of its 95 % interval (Student's t); NaN for fewer than `FEWEST_SEEDS`.

    >>> estimate = Estimate.from_values([1.0, 2.0, 3.0])  # s = 1, t(0.975, 2) = 4.3027, 4.3027 / sqrt(3)
    >>> estimate.mean, round(estimate.half_width, 4), estimate.count
    (2.0, 2.4841, 3)
    """

    mean: float
    half_width: float
    count: int

    @classmethod
    def from_values(cls, values, overlap: float = 0.0) -> Estimate:
        """overlap: see `error_of_mean`."""
        values = np.asarray(values, dtype=np.float64)
        count = len(values)
        if count < FEWEST_SEEDS:
            return cls(float(values.mean()) if count else float("nan"), float("nan"), count)
        return cls(float(values.mean()), float(stats.t.ppf(0.975, count - 1) * error_of_mean(values, overlap)), count)

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies outside the interval; never without one."""
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
        """Whether 0 lies outside the 95 % interval; never without one."""
        return self.estimate.is_clear


def compare(runs: pd.DataFrame, first: str, second: str, metric: str = "auc", overlap: float = 0.0) -> Difference:
    """first minus second. runs: of one protocol, one row a model and seed; models share the test rows of a seed.

    overlap: see `error_of_mean`.
    """
    table = runs[runs["model"].isin([first, second])].pivot(index="seed", columns="model", values=metric)
    pairs = table.reindex(columns=[first, second]).dropna()
    differences = (pairs[first] - pairs[second]).to_numpy()
    test = paired_p_value(differences, overlap)
    return Difference(Estimate.from_values(differences, overlap), test, tuple(differences.tolist()))


def paired_p_value(differences: np.ndarray, overlap: float = 0.0) -> float:
    """Of Student's t-test that their mean is 0, two-sided; NaN for fewer than `FEWEST_SEEDS`.

    overlap: see `error_of_mean`.

    >>> round(paired_p_value(np.array([1.0, 2.0, 3.0])), 4)  # t = 2 * sqrt(3), 2 degrees of freedom
    0.0742
    """
    count = len(differences)
    if count < FEWEST_SEEDS:
        return float("nan")
    mean, error = differences.mean(), error_of_mean(differences, overlap)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean) / error, count - 1))


def compare_apart(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Mean of the first minus that of the second, of values that are not paired, by Welch's t-test.

    >>> apart = compare_apart([4.0, 5.0, 6.0], [1.0, 2.0, 3.0])  # t(0.975, 4) = 2.7764, standard error sqrt(2 / 3)
    >>> apart.estimate.mean, round(apart.estimate.half_width, 4), round(apart.p_value, 4)
    (3.0, 2.267, 0.0213)
    """
    values = [np.asarray(each, dtype=np.float64) for each in (first, second)]
    mean, count = float(values[0].mean() - values[1].mean()), min(map(len, values))
    if count < FEWEST_SEEDS:
        return Difference(Estimate(mean, float("nan"), count), float("nan"))
    test = stats.ttest_ind(*values, equal_var=False)
    half_width = (test.confidence_interval(0.95).high - test.confidence_interval(0.95).low) / 2
    return Difference(Estimate(mean, float(half_width), count), float(test.pvalue))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction of a family of tests, which keeps the chance of any false finding below the level.

    NaN stays, and is no member of the family. The i-th smallest of n counts n - i times, none below a smaller one.

    >>> holm([0.01, 0.04, 0.03, float("nan")])
    [0.03, 0.06, 0.06, nan]
    """
    places = sorted((place for place, p in enumerate(p_values) if p == p), key=lambda place: p_values[place])
    corrected, least = [float("nan")] * len(p_values), 0.0
    for smaller, place in enumerate(places):
        least = max(least, min(1.0, (len(places) - smaller) * p_values[place]))
        corrected[place] = least
    return corrected


def relative_improvement(runs: pd.DataFrame, model: str, baseline: str = "dssm") -> Estimate:
    """RelaImpr (`training.metrics.rela_impr`) seed by seed, over the seeds where it is defined: a baseline off 0.5."""
    table = runs.pivot(index="seed", columns="model", values="auc")
    pairs = table.reindex(columns=list(dict.fromkeys([model, baseline]))).dropna()
    aucs = zip(pairs[model], pairs[baseline], strict=True)
    return Estimate.from_values([rela_impr(auc, of_baseline) for auc, of_baseline in aucs if of_baseline != 0.5])
