"""Numbers inside hand-written text, filled in from the results: `<!--n auc int_tower holdout-->0.8967<!--/n-->`.

The first word is a method of `Numbers`, the others its arguments. A model is a key of `MODELS`, with a variant behind a
slash where it has one: `int_tower/cir_weight_1.0`. The words around a number are a person's, but two kinds of number
guard them: `above` is an error unless the first model's AUC is significantly above the second's, `level` is one if they
differ significantly.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import pandas as pd

from foundation.errors import InputError
from leaderboard.audit import probes_of
from leaderboard.entrants import entrant, paper_auc
from leaderboard.estimates import Difference, Estimate, compare
from leaderboard.ladder.rungs import BY_KEY
from leaderboard.ladder.steps import in_paper, reached, step_to
from leaderboard.markdown import decimal_text, estimate_text, milliseconds, signed_text
from leaderboard.results import select_runs
from leaderboard.speed import whole_requests

if TYPE_CHECKING:
    from leaderboard.pages import Results

MARKED = re.compile(r"<!--n (.*?)-->(.*?)<!--/n-->", re.DOTALL)


def fill_numbers(text: str, numbers: Numbers) -> str:
    """A text with each number made anew. Raises `InputError` for a marker that the results cannot fill."""
    return MARKED.sub(lambda found: f"<!--n {found[1]}-->{numbers(found[1])}<!--/n-->", text)


class NoResults(LookupError):
    """A model has not run under a protocol."""


class Numbers:
    """What markers mean. AUCs are of test rows, as means over the seeds; ± is the 95 % interval."""

    def __init__(self, results: Results):
        self.results = results

    def __call__(self, marker: str) -> str:
        try:
            kind, *arguments = marker.split()
            found = getattr(self, kind)(*arguments)
        except InputError:
            raise
        except (AttributeError, LookupError, StopIteration, TypeError, ValueError) as error:
            reason = error if isinstance(error, NoResults) else repr(error)
            raise InputError(f"The results hold no number for the marker <!--n {marker}-->: {reason}.") from None
        _require(found != "", f"{marker} is not a number")
        return found

    def auc(self, model: str, protocol: str, metric: str = "auc") -> str:
        return estimate_text(self._estimate(model, protocol, metric))

    def mean(self, model: str, protocol: str, metric: str = "auc") -> str:
        return decimal_text(self._estimate(model, protocol, metric).mean)

    def paper(self, model: str) -> str:
        return decimal_text(paper_auc(model, self.results.dataset))

    def above(self, model: str, other: str, protocol: str) -> str:
        difference = self._difference(model, other, protocol)
        _require(difference.is_clear and difference.estimate.mean > 0, f"{model} is not above {other} ({protocol})")
        return estimate_text(difference.estimate)

    def level(self, model: str, other: str, protocol: str) -> str:
        difference = self._difference(model, other, protocol)
        _require_level(difference, f"{model} and {other}", protocol)
        return signed_text(difference.estimate)

    def rung(self, model: str, key: str, metric: str = "auc") -> str:
        """What a model reaches on a rung of the ladder (`leaderboard.ladder.rungs`)."""
        return estimate_text(reached(self.results.runs, self.results.dataset, BY_KEY[key], model, metric))

    def step(self, model: str, key: str, metric: str = "auc") -> str:
        """That minus what it reaches on the rung before."""
        return signed_text(step_to(self.results.runs, self.results.dataset, BY_KEY[key], model, metric).estimate)

    def near_paper(self, key: str, limit: str) -> str:
        """How many models are within this much AUC of their paper on a rung, of those that have run."""
        runs, dataset, rung = self.results.runs, self.results.dataset, BY_KEY[key]
        found = {model: reached(runs, dataset, rung, model) for model in rung.models}
        apart = [abs(each.mean - in_paper(model, dataset)) for model, each in found.items() if each.count]
        return f"{sum(value <= float(limit) for value in apart)} of {len(apart)}"

    def probe(self, name: str, protocol: str) -> str:
        return decimal_text(probes_of(self.results.audit)[protocol][name].mean)

    def survivors(self, model: str, protocol: str, cut: str) -> str:
        frame = self.results.stage_frame
        own = frame[(frame["protocol"] == protocol) & (frame["model"] == _entrant(model))]
        return estimate_text(Estimate.from_values(own[cut]), 3)

    def survivors_level(self, model: str, other: str, protocol: str, cut: str) -> str:
        frame = self.results.stage_frame
        own = frame[frame["protocol"] == protocol]
        share = compare(own, _entrant(model), _entrant(other), metric=cut)
        _require_level(share, f"{model} and {other} in {cut}", protocol)
        return signed_text(share.estimate, 3)

    def validation(self, model: str, protocol: str, seed: str) -> str:
        own = self._runs(model, protocol)
        return decimal_text(own[own["seed"] == int(seed)]["validation_auc"].item())

    def trial(self, model: str, protocol: str) -> str:
        """The best validation AUC among a model's trials."""
        tuned = next(entry for entry in self.results.tuned if entry.model == model)
        return decimal_text(max(outcome.auc for trial, outcome in tuned.trials if trial.protocol == protocol))

    def request(self, model: str, items: str = "10000") -> str:
        """Median of a whole request, one thread, float32."""
        return milliseconds(self._request(model, items)["p50_ms"])

    def times(self, slow: str, fast: str) -> str:
        """How many times as long a request of the first takes."""
        return f"{self._request(slow)['p50_ms'] / self._request(fast)['p50_ms']:.0f}"

    def gigabytes(self, model: str, items: str) -> str:
        """Of an index."""
        return f"{self._request(model, items)['bytes_per_item'] * int(items) / 1e9:.2f}"

    def million(self, name: str, digits: str = "0") -> str:
        """Of the index of a million items."""
        return f"{self.results.measured['million'][0][name]:.{digits}f}"

    def updates(self, name: str) -> str:
        """Of readers beside a writer, none of which may have failed or seen a torn state."""
        found = self.results.measured["upserts"]
        _require(not found["answers_of_neither"] and not found["errors"], "readers saw a torn state, or failed")
        return f"{found['answers_a'] + found['answers_b'] if name == 'answers' else found[name]:,.0f}"

    def minutes(self, step: str) -> str:
        """Of a step of the README's quick start (`benchmarks.quick_start`), at least 1."""
        return f"{max(1, self._quick_start(step)['minutes']):.0f}"

    def peak_gigabytes(self, step: str) -> str:
        return f"{self._quick_start(step)['peak_GB']:.1f}"

    def _quick_start(self, step: str) -> dict[str, float]:
        return self.results.measured["quick_start"]["steps"][step]

    def _runs(self, model: str, protocol: str) -> pd.DataFrame:
        name, _, variant = model.partition("/")
        runs = select_runs(self.results.runs, protocol, name, variant)
        if runs.empty:
            raise NoResults(f"there are no results of {model} under {protocol}")
        return runs

    def _estimate(self, model: str, protocol: str, metric: str = "auc") -> Estimate:
        return Estimate.from_values(self._runs(model, protocol)[metric])

    def _difference(self, model: str, other: str, protocol: str) -> Difference:
        pair = [self._runs(name, protocol).assign(model=name) for name in (model, other)]
        return compare(pd.concat(pair), model, other)

    def _request(self, model: str, items: str = "10000") -> dict:
        rows = whole_requests(self.results.measured["requests"], int(items), 1, "float32")
        return next(row for row in rows if row["model"] == _entrant(model))


def _entrant(model: str) -> str:
    name, _, variant = model.partition("/")
    return entrant(name, variant) or model


def _require_level(difference: Difference, what: str, protocol: str) -> None:
    """Too few seeds show nothing, neither that two differ nor that they do not."""
    _require(not math.isnan(difference.estimate.half_width), f"{what} have too few seeds in common ({protocol})")
    _require(not difference.is_clear, f"{what} differ ({protocol})")


def _require(is_borne_out: bool, problem: str) -> None:
    if not is_borne_out:
        raise InputError(f"A sentence is not true of the results any more: {problem}. Write it anew.")
