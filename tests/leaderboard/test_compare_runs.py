"""`benchmark.py compare`: what is one group, what is compared with what, and when nothing can be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from script_helpers import assert_short_error, script

from benchmark import main
from foundation.errors import InputError
from leaderboard.compare_runs import comparison_text, read_runs
from leaderboard.estimates import holm

FIRST, SECOND, THIRD = [0.80, 0.82, 0.81], [0.79, 0.80, 0.80], [0.78, 0.81, 0.77]
ROWS = {"train": 800, "validation": 100, "test": 200}


def write(folder: Path, model: str, aucs: list[float], settings: dict | None = None, **changed) -> list[Path]:
    """A result a seed 1, 2, ..., as a training script leaves it."""
    paths = []
    for seed, auc in enumerate(aucs, 1):
        config = {"model_name": model, "protocol": changed.get("protocol", "holdout"), "seed": seed, "lr": 0.1}
        result = {"dataset": "shop", "data_sha256": "a" * 64, "protocol": "holdout", "seed": seed, "rows": ROWS}
        result |= {"test": {"auc": auc, "logloss": 1 - auc}, "config": config | {"model_arguments": settings or {}}}
        name = "-".join([model, *map(str, (settings or {}).values()), *map(str, changed.values())])
        paths.append(folder / f"{name}-{seed}.json")
        paths[-1].write_text(json.dumps(result | changed))
    return paths


def rows_of(text: str) -> list[list[str]]:
    """The cells of the table of differences."""
    lines = text.split("\n\n")[2].splitlines()[2:]
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines]


def test_a_difference_by_hand(tmp_path):
    paths = write(tmp_path, "hit", FIRST) + write(tmp_path, "dssm", SECOND)
    # .01, .02, .01: mean .01333, s = .005774, error s sqrt(1 / 3 + 200 / 800) = .004410, t(.975, 2) = 4.303, t = 3.024
    (row,) = rows_of(comparison_text(paths))
    assert row == ["HIT", "DSSM", "+0.0133 ± 0.0190", "0.094", "0.188", "-0.0133 ± 0.0190", "0.094", "0.188", "3"]


def test_one_split_for_all_seeds_is_the_plain_paired_test(tmp_path):
    paths = write(tmp_path, "hit", FIRST, protocol="temporal") + write(tmp_path, "dssm", THIRD, protocol="temporal")
    (row,) = rows_of(comparison_text(paths))
    assert row[3] == f"{stats.ttest_rel(FIRST, THIRD).pvalue:.3f}"


def test_holm_is_over_all_differences_of_the_table(tmp_path):
    groups = [write(tmp_path, name, aucs) for name, aucs in (("hit", FIRST), ("dssm", SECOND), ("lr", THIRD))]
    text = comparison_text([path for group in groups for path in group])
    rows = rows_of(text)
    assert [row[:2] for row in rows] == [["HIT", "DSSM"], ["HIT", "LR"], ["DSSM", "LR"]]
    plain, corrected = ([float(row[place]) for row in rows for place in places] for places in ((3, 6), (4, 7)))
    assert corrected == pytest.approx(holm(plain), abs=0.005)
    assert "all 6 tests" in text


def test_runs_of_one_model_are_grouped_by_what_differs_in_their_settings(tmp_path):
    paths = [*write(tmp_path, "hit", FIRST), *write(tmp_path, "hit", SECOND, {"num_heads": 3})]
    paths += write(tmp_path, "hit", THIRD, {"num_heads": 2, "alpha": 0.2})  # 2 is the constructor's own
    assert list(dict.fromkeys(read_runs(paths)["model"])) == ["HIT", "HIT num_heads=3", "HIT alpha=0.2"]


def test_the_same_run_counts_once_and_a_folder_of_results_is_its_files(tmp_path):
    (tmp_path / "hit").mkdir()
    for seed, path in enumerate(write(tmp_path, "hit", FIRST), 1):
        path.rename(tmp_path / "hit" / f"seed{seed}.json")
    runs = read_runs([tmp_path / "hit", tmp_path / "hit" / "seed1.json"])
    assert runs["seed"].tolist() == [1, 2, 3]


def test_two_seeds_give_differences_and_no_verdict(tmp_path):
    text = comparison_text(write(tmp_path, "hit", FIRST[:2]) + write(tmp_path, "dssm", SECOND[:2]))
    assert rows_of(text) == [["HIT", "DSSM", "+0.0150", "-0.0150", "2"]]
    assert "±" not in text
    assert text.endswith("they need 3 seeds that two groups have in common.")


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"data_sha256": "b" * 64}, "is of other data .shop, bbbbbbbbbbbb. than"),
        ({"protocol": "temporal"}, "is of another protocol .temporal"),
        ({"rows": ROWS | {"test": 199}}, "is of other test rows of seed 1"),
        ({"seed": 9}, "are two runs of DSSM with seed 9"),
    ],
    ids=["data", "protocol", "rows", "twice"],
)
def test_runs_that_cannot_be_compared_are_named(tmp_path, changed, problem):
    paths = write(tmp_path, "hit", FIRST) + write(tmp_path, "dssm", SECOND, **changed)
    with pytest.raises(InputError, match=problem):
        comparison_text(paths)


def test_groups_without_a_common_seed_are_named_with_their_seeds(tmp_path):
    paths = write(tmp_path, "hit", FIRST)[:1] + write(tmp_path, "dssm", SECOND)[1:]
    with pytest.raises(InputError, match=r"no seed in common\. Seeds: 1 of HIT; 2, 3 of DSSM"):
        comparison_text(paths)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "There is no"), ('{"auc": 1}', "is no result of a training script"), ("[", "is not valid JSON")],
    ids=["missing", "foreign", "damaged"],
)
def test_what_is_no_run_is_an_error_in_a_line(tmp_path, capsys, content, problem):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    assert script(main, "compare", path, path) == 2
    assert_short_error(capsys, problem)


def test_one_group_alone_is_an_error(tmp_path, capsys):
    assert script(main, "compare", *write(tmp_path, "hit", FIRST)) == 2
    assert_short_error(capsys, "nothing to compare it with")


def test_filed_results_can_be_compared(capsys):
    folder = Path(__file__).resolve().parents[2] / "results" / "ml-1m" / "holdout"
    assert script(main, "compare", folder / "int_tower", folder / "int_tower" / "heads_1") == 0
    (row,) = rows_of(capsys.readouterr().out)
    assert row[:2] == ["IntTower", "IntTower user_head=1 item_head=1"]
    aucs = [
        [json.loads(path.read_text())["test"]["auc"] for path in sorted(place.glob("seed*.json"))]
        for place in (folder / "int_tower", folder / "int_tower" / "heads_1")
    ]
    assert row[2].split()[0] == f"{np.mean(np.subtract(*aucs)):+.4f}"
