"""Does a number of each user (or item) hold labels of validation rows: a total or a mean over more than training rows?

Such a number may predict validation rows no better than an honest one, say the true quality of an item, so that no AUC
tells the two apart. What does is the sign of a dependence, or a precision that honest numbers cannot have.

Of an entity let t and s be the positives among its n_t training and its n_s validation rows, and x the number.

1. The sign. If x says nothing about single labels, the rows of an entity are alike to whoever knows x. What x leaves
   open of the entity's rate shows in both counts: given x, s and t are independent, or both high together (de Finetti).
   If x is a total that holds both, more positives in training leave fewer for validation: given x, the correlation of s
   and t is that of two parts of a hypergeometric draw,

       -sqrt(n_t n_s / ((N - n_t) (N - n_s)))

   for a total over N rows: -1 if they are the training and validation rows, -0.58 if 20 % test rows are among them. The
   correlation given x is that of the residuals of s and t about what x predicts for either, fitted on other entities
   (R. Shah and J. Peters, "The Hardness of Conditional Independence Testing", Annals of Statistics 48(3), 2020). What
   a fit misses of the rate it misses in both: that moves the correlation up, away from an alarm. Only entities with a
   positive in training count, because a log may hold entities with a positive alone. How rows were drawn may tie the
   counts, too, as one click in each list of ten does: then the correlation is negative without x as well.

2. The precision. A total over validation rows without the training rows has no such sign. But an honest x predicts s
   no better than binomial noise allows: with p what x predicts of the rate, the dispersion, which is the mean of
   (s - n_s p)^2 / n_s over the mean of p (1 - p), is 1 or above. Again it must be clearly below what it is without x,
   and below that of training rows given x.

3. The exact total. If x is a total or a mean, the positives that it leaves to validation rows follow a hypergeometric
   distribution, with known parameters and not one exception. If that makes s far more likely than every honest
   prediction does, few entities suffice.

No label of a test row is read, only how many rows there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import special

from preprocessing.leak_fits import FOLDS, curve, line
from preprocessing.leak_rows import SMOOTHING, Counts, ranking

Numbers = NDArray[np.float64]

MOST, FEWEST = 5_000, 12  # entities that are looked at, drawn from more
# An alarm takes as many standard deviations, and an effect of this size, by itself and beside that without x.
SIGNIFICANT = 4.5
CORRELATION = 0.1
DISPERSION, LOWER = 0.75, 0.2
# Log likelihood ratios to what an entity's training labels predict, and to what x predicts as an honest number.
EXACT, EXACT_GIVEN_X = np.log(1e7), 4.0
CLIP = 3.0  # standard deviations of a residual, so that no single entity decides


@dataclass(frozen=True)
class Held:
    """How it shows, in words with "{side}" for user or item, that a number holds labels of validation rows; and the AUC
    of what it predicts of them, together with the training labels."""

    how: str
    auc: float


@dataclass(frozen=True)
class Entities:
    """A number and counts of the entities that are looked at, each (m,); `rest`: other rows than training and
    validation rows; `fold`: int in 0..FOLDS - 1."""

    x: Numbers
    n_t: Numbers
    t: Numbers
    n_s: Numbers
    s: Numbers
    rest: Numbers
    fold: np.ndarray

    def take(self, chosen: np.ndarray) -> Entities:
        return Entities(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def own_rates(self) -> Numbers:
        """What the training labels of each predict, smoothed towards those of all."""
        mean = (self.t.sum() + 1) / (self.n_t.sum() + 2)
        return (self.t + SMOOTHING * mean) / (self.n_t + SMOOTHING)

    def auc(self, rates: Numbers) -> float:
        nothing = np.zeros_like(self.s)
        return ranking(rates, Counts(nothing, nothing, self.n_s, self.s)).auc


def held_labels(x: Numbers, counts: Counts, rows: Numbers, rng: np.random.Generator) -> Held | None:
    """How labels of validation rows show in a number of each entity; None if they do not.

    x: (entities,), NaN where it is missing.  counts: of each entity.  rows: (entities,) of the whole log.
    """
    known = np.flatnonzero(~np.isnan(x) & (counts.held_out > 0))
    if len(known) > MOST:
        known = rng.choice(known, MOST, replace=False)
    if len(known) < FEWEST or np.ptp(x[known]) == 0:
        return None
    rest = np.maximum(rows - counts.train - counts.held_out, 0)
    given = (x, counts.train, counts.train_positives, counts.held_out, counts.held_out_positives, rest)
    entities = Entities(*(values[known] for values in given), fold=rng.integers(FOLDS, size=len(known)))
    return _exact(entities) or _sign(entities) or _precise(entities)


def _sign(entities: Entities) -> Held | None:
    """See 1. above."""
    few = entities.take(entities.t > 0)
    if len(few.x) < FEWEST:
        return None
    rows = few.n_t + few.n_s
    without = min(found.effect for found in _correlations(few, [np.zeros_like(rows), rows, rows + few.rest]))
    for found in _correlations(few, _as_rates(few)):
        if found.effect < min(0.0, without) - CORRELATION and found.deviations < -SIGNIFICANT:
            how = f"those with more positives in training have fewer in validation (correlation {found.effect:.2f})"
            return Held(f"of {{side}}s with an equal value, {how}", few.auc(found.rates))
    return None


@dataclass(frozen=True)
class Found:
    """A correlation or a dispersion, how many standard deviations it is above none, and the rates predicted: (m,)."""

    effect: float
    deviations: float
    rates: Numbers


def _correlations(entities: Entities, readings: Iterable[Numbers]) -> Iterator[Found]:
    """Of the residuals of s and t about what each reading of x predicts, in standard deviations of binomial noise."""
    n_t, t, n_s, s = entities.n_t, entities.t, entities.n_s, entities.s
    mean = (t.sum() + s.sum() + 1) / (n_t.sum() + n_s.sum() + 2)
    for reading in readings:
        for fit in (line, curve):
            p_s, p_t = fit(entities.fold, reading, s / n_s, n_s), fit(entities.fold, reading, t / n_t, n_t)
            p = np.clip((p_s + p_t) / 2, mean / 4, 1 - (1 - mean) / 4)  # a residual must not be divided by nearly 0
            of_s = np.clip((s - n_s * p_s) / np.sqrt(n_s * p * (1 - p)), -CLIP, CLIP)
            of_t = np.clip((t - n_t * p_t) / np.sqrt(n_t * p * (1 - p)), -CLIP, CLIP)
            product = of_s * of_t
            slope = product.sum() / max((of_t**2).sum(), 1e-9)
            rates = p_s + slope * of_t * np.sqrt(p * (1 - p) / n_s)
            yield Found(float(product.mean()), _deviations(product), rates)


def _deviations(values: Numbers) -> float:
    """The sum of independent values, over its standard deviation if they are 0 in the mean."""
    return float(values.sum() / np.sqrt((values**2).sum() + 1e-12))


def _as_rates(entities: Entities) -> Iterator[Numbers]:
    """x read as a rate: as it is, or as a total over all rows or those that are known, perhaps a scaled or bent one."""
    known = entities.n_t + entities.n_s
    rows = known + entities.rest
    yield entities.x
    for total in _as_totals(entities, (entities.t + entities.s) * rows / known, rows):
        yield total / rows
        yield total / known


def _as_totals(entities: Entities, total: Numbers, rows: Numbers) -> list[Numbers]:
    """x as it is, and made a total by what `total`, of as many rows, is at this x for other entities."""
    return [entities.x, *(fit(entities.fold, entities.x, total, 1 / rows) for fit in (line, curve))]


def _precise(entities: Entities) -> Held | None:
    """See 2. above."""
    few = entities.take(entities.n_s > 1)
    if len(few.x) < FEWEST:
        return None
    later = few.n_s + few.rest
    rows = few.n_t + later
    honest = [np.zeros_like(rows), few.n_s, later, rows, few.own_rates()]
    without = min(found.effect for found in _dispersions(few.fold, few.n_s, few.s, honest))
    trained = few.n_t > 1
    for total in [np.zeros_like(rows), *_as_totals(few, few.s * later / few.n_s, later)]:
        for size in (1.0, few.n_s, later, rows):
            reading = total / size
            for found in _dispersions(few.fold, few.n_s, few.s, [reading]):
                if not (found.effect < min(DISPERSION, without - LOWER) and found.deviations < -SIGNIFICANT):
                    continue
                of_training = _dispersions(few.fold[trained], few.n_t[trained], few.t[trained], [reading[trained]])
                if found.effect < min((one.effect for one in of_training), default=1.0) - LOWER:
                    how = f"more precisely than chance allows (dispersion {found.effect:.2f}, of honest ones 1 or more)"
                    return Held(f"it predicts the positives of each {{side}} {how}", few.auc(found.rates))
    return None


def _dispersions(fold: np.ndarray, n: Numbers, positives: Numbers, readings: Iterable[Numbers]) -> Iterator[Found]:
    """Of positives among n rows about what each reading of x predicts, over that of binomial noise."""
    for reading in readings:
        for fit in (line, curve):
            rates = np.clip(fit(fold, reading, positives / n, n), 0, 1)
            error, noise = (positives - n * rates) ** 2 / n, rates * (1 - rates)
            yield Found(float(error.mean() / max(noise.mean(), 1e-4)), _deviations(error - noise), rates)


def _exact(entities: Entities) -> Held | None:
    """See 3. above."""
    n, s = entities.n_s, entities.s
    bounded = [np.clip(line(entities.fold, u, s / n, n), 1e-3, 1 - 1e-3) for u in _as_rates(entities)]
    likelihoods = [float((s * np.log(p) + (n - s) * np.log1p(-p)).sum()) for p in (entities.own_rates(), *bounded)]
    for left, rest in _left(entities):
        if ((left < s) | (left - s > rest)).any():
            continue
        ways = _log_choose(rest, left - s) - _log_choose(n + rest, left)  # those of s among n are in both likelihoods
        likelihood = float(ways.sum())
        if likelihood > likelihoods[0] + EXACT and likelihood > max(likelihoods) + EXACT_GIVEN_X:
            how = "as only a total or mean of labels over more than training rows does"
            return Held(
                f"it fits those of each of {len(s):,} {{side}}s, {how}", entities.auc(left / np.maximum(n + rest, 1))
            )
    return None


def _left(entities: Entities) -> Iterator[tuple[Numbers, Numbers]]:
    """x read as a total of positives or negatives, as its logarithm, as one in other units, or as a mean: how many
    positives it leaves to validation and other rows; and how many those other rows are.

    Over all rows or those that are known, with training rows and without.
    """
    x, none = entities.x, np.zeros_like(entities.x)
    units = np.round((x - x.min()) / np.diff(np.unique(x)).min())
    for rest in (entities.rest, none):
        for trained, positives in ((entities.n_t, entities.t), (none, none)):
            rows = trained + entities.n_s + rest
            counted = units + max(0.0, float(np.max(positives + entities.s - units)))
            for total in (x, rows - x, np.expm1(np.minimum(x, 30)), counted, x * rows, rows - x * rows):
                yield np.round(total) - positives, rest


def _log_choose(n: Numbers, k: Numbers) -> Numbers:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
