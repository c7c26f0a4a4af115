"""Tables and pictures of models as pre-rankers, of calibration and of training, from made-up runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from report_helpers import rows_of

from leaderboard.board import Results
from leaderboard.grid.calibration import calibration_picture, calibration_table, pooled_bins, reliability_models
from leaderboard.grid.learning import curves
from leaderboard.grid.quality_and_cost import quality_and_cost_table
from leaderboard.pages import draw_all, plain_report
from leaderboard.speed import Speeds
from leaderboard.stages.report import differences_table, rankers_table, stage_frame, stage_table
from leaderboard.theme import LIGHT
from model import MODELS
from model.base import TwoTower
from training.calibration import calibration

TWO_TOWERS = [name for name, entry in MODELS.items() if issubclass(entry.model_class, TwoTower)]
RANKER = "dcn"


@pytest.fixture
def runs() -> pd.DataFrame:
    """Three seeds of every model under two protocols, all with calibration and curves; DCN validates best."""
    rng = np.random.default_rng(0)
    rows = []
    for protocol in ("holdout", "temporal"):
        for seed in (1023, 1024, 1025):
            for place, name in enumerate(MODELS):
                labels, probabilities = rng.integers(0, 2, 200), rng.random(200)
                auc = 0.8 + place / 1000 + seed / 1e6
                rows.append(
                    {"protocol": protocol, "model": name, "seed": seed, "variant": "", "auc": auc, "logloss": 0.3}
                    | {"gauc": 0.7, "validation_auc": 0.95 if name == RANKER else auc, "parameters": 1_000}
                    | {"best_epoch": 2, "train_seconds": 9.6, "sources": "x"}
                    | {"best_possible_auc": float("nan")}
                    | calibration(labels, probabilities)
                    | {"epoch_auc": [auc - 0.1, auc, auc - 0.05][: 2 + seed % 2]}
                )
    return pd.DataFrame(rows)


@pytest.fixture
def entries(runs) -> list[dict]:
    auc = runs.set_index(["protocol", "seed", "model"])["auc"]
    return [
        {"protocol": protocol, "seed": seed, "model": name, "ranker": RANKER, "test_auc": value}
        | {"ranker_test_auc": auc[(protocol, seed, RANKER)], "items": 1600, "spearman": 0.5 + place / 100}
        | {"survivors": {"200": 0.3 + place / 100, "400": 0.6, "800": 0.9}}
        for place, ((protocol, seed, name), value) in enumerate(auc.items())
        if name != RANKER
    ]


def lines_of(table: str) -> dict[str, list[str]]:
    rows = [line.strip("| ").split(" | ") for line in rows_of(table)]
    return {row[0]: row for row in rows}


class TestQualityAndCost:
    """The README's table of results."""

    def test_best_auc_first_with_what_each_model_costs(self, runs, entries):
        runs.loc[runs["model"] == "hit", "auc"] = 0.95
        stages = [entry for entry in entries if entry["model"] != "hit"]  # about another run of it
        speeds = Speeds(10_000, 1, {"dssm": 1063}, {"dssm": 0.2}, {"dssm": 0.58, "deep_fm": 81.0})
        table = quality_and_cost_table(runs, stages, speeds)
        lines = lines_of(table)
        assert next(iter(lines)) == "HIT"
        assert rows_of(table)[0] == "| HIT | two towers | 0.9500 ± 0.0000 | 0.9500 ± 0.0000 |  |  |  |"
        assert lines["DSSM"][4:] == ["0.600 ± 0.000", "0.58", "1,063"]
        assert (lines["DeepFM"][1], *lines["DeepFM"][4:6]) == ("ranking", "0.600 ± 0.000", "81")
        assert lines["DCN"][4] == "is the ranker"
        assert len(lines) == len(MODELS)

    def test_a_shown_variant_has_a_row_of_its_own(self, runs, entries):
        one = runs[runs["model"] == "hit"].assign(variant="heads_1", auc=0.96)
        other = runs[runs["model"] == "hit"].assign(variant="heads_3", auc=0.97)
        stages = [entry | {"model": "hit 1 head", "test_auc": 0.96} for entry in entries if entry["model"] == "hit"]
        speeds = Speeds(10_000, 1, {"hit 1 head": 164}, {}, {"hit 1 head": 0.52})
        lines = rows_of(quality_and_cost_table(pd.concat([runs, one, other]), entries + stages, speeds))
        assert (
            lines[0] == "| HIT (1 head) | two towers | 0.9600 ± 0.0000 | 0.9600 ± 0.0000 | 0.600 ± 0.000 | 0.52 | 164 |"
        )
        assert len(lines) == len(MODELS) + 1

    def test_without_stages_and_speed_their_columns_are_left_out(self, runs):
        heads = quality_and_cost_table(runs, [], Speeds()).splitlines()[0]
        assert heads == "| model | kind | AUC, `holdout` | AUC, `temporal` |"

    def test_nothing_of_a_leaking_protocol(self, runs):
        assert (
            quality_and_cost_table(runs[runs["protocol"] == "holdout"].assign(protocol="published"), [], Speeds()) == ""
        )


@pytest.fixture
def frame(runs, entries) -> pd.DataFrame:
    """Of `holdout`."""
    every = stage_frame(entries, runs)
    return every[every["protocol"] == "holdout"]


class TestTables:
    def test_every_model_and_the_random_choice(self, frame):
        rows = lines_of(stage_table(frame))
        models = {entry.title for name, entry in MODELS.items() if name != RANKER}
        assert set(rows) == models | {"random choice"}
        assert rows["random choice"][2:6] == ["0.125", "0.250", "0.500", "0"]
        assert lines_of(rankers_table(frame)) == {"DCN": ["DCN", "1023, 1024, 1025"]}

    def test_the_two_of_the_papers_are_compared_seed_by_seed(self, frame):
        shares = {("int_tower", seed): 0.5 + seed % 1023 / 10 for seed in (1023, 1024, 1025)}
        shares |= {("hit", seed): share - 0.1 for (_, seed), share in shares.items()}
        own = [shares.get(key, 0.1) for key in zip(frame["model"], frame["seed"], strict=True)]
        (line,) = rows_of(differences_table(frame.assign(**{"200": own})))
        assert line == "| IntTower minus HIT | **+0.100 ± 0.000** | +0.000 ± 0.000 | +0.000 ± 0.000 |"
        assert differences_table(frame[frame["model"] != "hit"]) == ""

    def test_numbers_by_hand(self, frame):
        frame.loc[frame["model"] == "hit", "200"] = [0.4, 0.5, 0.6]
        assert lines_of(stage_table(frame))["HIT"][2] == "0.500 ± 0.248"  # s = .1, t(.975, 2) = 4.303

    def test_two_tower_models_come_first_and_the_best_of_them_leads(self, frame):
        titles = [MODELS[name].title for name in TWO_TOWERS]
        first = list(lines_of(stage_table(frame)))[: len(titles)]
        assert set(first) == set(titles)
        assert first[0] == "HIT"  # the last, and so the best, of the made-up ones

    def test_entries_about_other_runs_are_left_out(self, runs, entries):
        assert len(stage_frame(entries, runs)) == len(entries)
        newer = runs.copy()
        of_dssm = newer["model"] == "dssm"
        newer.loc[of_dssm, "auc"] += 0.001
        assert {entry["model"] for entry in entries} - set(stage_frame(entries, newer)["model"]) == {"dssm"}
        newer.loc[newer["model"] == RANKER, "auc"] += 0.001
        assert stage_frame(entries, newer).empty
        other_ranker = runs.copy()
        other_ranker.loc[(other_ranker["model"] == "lr") & (other_ranker["seed"] == 1023), "validation_auc"] = 0.99
        assert set(stage_frame(entries, other_ranker)["seed"]) == {1024, 1025}

    def test_entries_without_their_runs_are_left_out(self, runs, entries):
        assert set(stage_frame(entries, runs[runs["seed"] == 1024])["seed"]) == {1024}


class TestCalibration:
    def test_every_model_under_every_protocol_that_has_run(self, runs):
        table = calibration_table(runs)
        assert table.splitlines()[0] == "| ECE | `holdout` | `temporal` |"
        assert set(lines_of(table)) == {entry.title for entry in MODELS.values()}

    def test_numbers_by_hand(self, runs):
        of_hit = (runs["protocol"] == "holdout") & (runs["model"] == "hit")
        runs.loc[of_hit, "ece"] = [0.04, 0.05, 0.06]
        assert lines_of(calibration_table(runs))["HIT"][1] == "0.0500 ± 0.0248"  # s = .01, t(.975, 2) = 4.303

    def test_ablations_are_not_among_the_seeds(self, runs):
        assert calibration_table(pd.concat([runs, runs.assign(variant="other", ece=0.9)])) == calibration_table(runs)


class TestWhatIsThere:
    def test_calibration_without_stages(self, runs):
        tables = Results("ml-1m", runs).tables()
        assert tables["calibration"] == calibration_table(runs)
        assert not any("survivors" in name for name in tables)

    def test_stages_without_calibration(self, runs, entries):
        older = Results("ml-1m", runs.assign(ece=float("nan"), bins=None), stages=entries)
        assert (
            older.tables()["survivors holdout"] == Results("ml-1m", runs, stages=entries).tables()["survivors holdout"]
        )
        assert older.tables()["calibration"] == ""
        assert set(older.pictures()) & {"survivors", "reliability", "learning"} == {"survivors", "learning"}

    def test_results_from_before_all_of_it(self, runs):
        older = Results("ml-1m", runs.drop(columns=["ece", "bins", "epoch_auc"]))
        assert not set(older.pictures()) & {"survivors", "reliability", "learning"}
        assert "## calibration" not in plain_report(older)


class TestPictures:
    def test_each_is_drawn_on_light_and_on_dark(self, runs, tmp_path):
        paths = draw_all(tmp_path, calibration_picture(runs))
        assert [path.name for path in paths] == ["reliability-light.png", "reliability-dark.png"]
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)

    def test_of_a_single_model(self, runs, entries):
        pictures = Results("ml-1m", runs[runs["model"].isin(["hit", RANKER])], stages=entries).pictures()
        assert {"survivors", "reliability", "learning"} <= set(pictures)
        assert all(pictures[name].on(LIGHT).axes for name in ("survivors", "reliability", "learning"))

    def test_reliability_of_the_papers_models_and_the_best_others(self, runs):
        assert reliability_models(runs) == ["dssm", "poly_encoder", "int_tower", "hit", RANKER]

    def test_curves_are_means_over_seeds_as_far_as_all_came(self, runs):
        own = runs[runs["protocol"] == "holdout"]
        found = curves(own)
        assert set(found) == set(MODELS) - {"gbdt"}
        parts = own[own["model"] == "hit"]["epoch_auc"].tolist()
        assert [len(part) for part in parts] == [3, 2, 3]
        assert found["hit"].tolist() == pytest.approx([np.mean([part[i] for part in parts]) for i in range(2)])

    def test_pooled_bins_are_the_bins_of_all_rows(self):
        rng = np.random.default_rng(1)
        labels, probabilities = rng.integers(0, 2, 500), rng.random(500)
        parts = [calibration(labels[rows], probabilities[rows])["bins"] for rows in np.split(np.arange(500), [10, 200])]
        pooled, whole = pooled_bins(parts), calibration(labels, probabilities)["bins"]
        assert pooled["count"].tolist() == whole["count"]
        for name in ("mean_probability", "positive_share"):
            assert pooled[name].tolist() == pytest.approx(whole[name])
