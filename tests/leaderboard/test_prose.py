"""Numbers between markers in hand-written text: what each kind means, and when a sentence is refused."""

from __future__ import annotations

import pandas as pd
import pytest
from report_helpers import SPREAD, five, runs, typed

from foundation.errors import InputError
from leaderboard.board import Results
from leaderboard.prose import Numbers, fill_numbers

RUNS = pd.concat(
    [
        runs(hit=five(0.9), dssm=five(0.8), dcn=five(0.9001, SPREAD[::-1]), lr=[0.7]),
        runs(variant="heads_1", hit=five(0.91)),
        runs("published", hit=five(0.92), dssm=five(0.86)),
        runs("published", variant="ladder_release", hit=[0.8949], dssm=[0.8598], int_tower=[0.8871]),
    ]
)
MEASURED = {
    "requests": [
        {
            "model": name,
            "case": "features to top 100",
            "items": 10_000,
            "precision": "float32",
            "threads": 1,
            "users": 1,
        }
        | {"p50_ms": ms, "bytes_per_item": 200}
        for name, ms in (("hit", 0.5), ("hit 1 head", 0.25), ("dssm", 12.6))
    ],
    "quick_start": {"steps": {"tests": {"minutes": 13.6}, "install": {"minutes": 0.2}, "training": {"peak_GB": 0.87}}},
    "upserts": {"answers_a": 1000, "answers_b": 234, "answers_of_neither": 0, "errors": [], "seconds": 60.0},
}
NUMBERS = Numbers(Results("ml-1m", RUNS, measured=MEASURED))


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("auc hit holdout", "0.9000 ± 0.0004"),
        ("auc lr holdout", "0.7000"),
        ("auc hit/heads_1 holdout", "0.9100 ± 0.0004"),
        ("mean hit holdout logloss", "0.3002"),
        ("paper hit", "0.9048"),
        ("above hit dssm holdout", "0.1000 ± 0.0000"),
        ("level hit dcn holdout", "-0.0001 ± 0.0002"),
        ("request hit", "0.50"),
        ("times dssm hit/heads_1", "50"),
        ("gigabytes hit 10000", "0.00"),
        ("near_paper release 0.0098", "0 of 3"),  # of 0.9048, 0.8697 and 0.8974
        ("near_paper release 0.01", "2 of 3"),
        ("minutes tests", "14"),
        ("minutes install", "1"),
        ("peak_gigabytes training", "0.9"),
        ("updates answers", "1,234"),
        ("updates seconds", "60"),
    ],
)
def test_a_marker_means(marker, text):
    assert typed(NUMBERS(marker)) == text


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        ("above dssm hit holdout", "dssm is not above hit"),
        ("above hit dcn holdout", "hit is not above dcn"),
        ("above lr hit holdout", "lr is not above hit"),
        ("level hit dssm holdout", "hit and dssm differ"),
        ("level hit lr holdout", "hit and lr have too few seeds in common"),
        ("paper gbdt", "paper gbdt is not a number"),
    ],
)
def test_a_sentence_that_is_not_true_any_more_is_refused(marker, problem):
    with pytest.raises(InputError, match=f"not true of the results any more: {problem}"):
        NUMBERS(marker)


@pytest.mark.parametrize("marker", ["auc", "auc hit", "nothing hit holdout", "auc nobody holdout", "request lr", ""])
def test_a_marker_that_nothing_fills_is_named(marker):
    with pytest.raises(InputError, match=f"no number for the marker <!--n {marker}-->"):
        NUMBERS(marker)


def test_a_model_without_results_is_named():
    with pytest.raises(InputError, match="above nobody hit holdout-->: there are no results of nobody under holdout"):
        NUMBERS("above nobody hit holdout")


def test_only_numbers_between_markers_are_made_anew():
    text = "HIT has <!--n paper hit-->old<!--/n-->, not 0.1; <!--n paper\nhit--><!--/n-->."
    assert fill_numbers(text, NUMBERS) == (
        "HIT has <!--n paper hit-->0.9048<!--/n-->, not 0.1; <!--n paper\nhit-->0.9048<!--/n-->."
    )
