"""Tables and pictures of models as pre-rankers, of calibration and of training, from made-up runs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from leaderboard.report.choice import choice_table
from leaderboard.report.figures.learning import curves
from leaderboard.report.figures.stages import pooled_bins, reliability_models, stage_pictures
from leaderboard.report.figures.theme import LIGHT, draw
from leaderboard.report.pages import Results, full_report
from leaderboard.report.speed import Speeds
from leaderboard.report.stage_section import stage_sections
from leaderboard.report.stage_tables import calibration_table, stage_frame, stage_tables
from model import MODELS
from model.base import TwoTower
from training.calibration import calibration

TWO_TOWERS = [name for name, entry in MODELS.items() if issubclass(entry.model_class, TwoTower)]
RANKER = "dcn"


@pytest.fixture
def runs() -> pd.DataFrame:
    """Two seeds of every model under two protocols, all with calibration and curves; DCN validates best."""
    rng = np.random.default_rng(0)
    rows = []
    for protocol in ("holdout", "temporal"):
        for seed in (1023, 1024):
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
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {row[0]: row for row in rows}


class TestChoice:
    """The README's table of what to use when."""

    def test_best_auc_first_with_what_each_model_costs(self, runs, entries):
        runs.loc[runs["model"] == "hit", "auc"] = 0.95
        stages = [entry for entry in entries if entry["model"] != "hit"]  # about another run of it
        speeds = Speeds(10_000, 1, {"dssm": 1063}, {"dssm": 0.2}, {"dssm": 0.58, "deep_fm": 81.0})
        table = choice_table(runs, stages, speeds)
        lines = lines_of(table)
        assert next(iter(lines)) == "HIT"
        assert table.splitlines()[2] == "| HIT | two towers | .9500 ± .0000 | .9500 ± .0000 |  |  |  |"
        assert lines["DSSM"][4:] == [".600 ± .000", "0.58", "1,063"]
        assert (lines["DeepFM"][1], *lines["DeepFM"][4:6]) == ("ranking", ".600 ± .000", "81")
        assert lines["DCN"][4] == "is the ranker"
        assert len(lines) == len(MODELS)

    def test_a_form_has_a_row_of_its_own(self, runs, entries):
        one = runs[runs["model"] == "hit"].assign(variant="heads_1", auc=0.96)
        other = runs[runs["model"] == "hit"].assign(variant="heads_3", auc=0.97)
        stages = [entry | {"model": "hit 1 head", "test_auc": 0.96} for entry in entries if entry["model"] == "hit"]
        speeds = Speeds(10_000, 1, {"hit 1 head": 164}, {}, {"hit 1 head": 0.52})
        lines = choice_table(pd.concat([runs, one, other]), entries + stages, speeds).splitlines()
        assert lines[2] == "| HIT (1 head) | two towers | .9600 ± .0000 | .9600 ± .0000 | .600 ± .000 | 0.52 | 164 |"
        assert len(lines) == 2 + len(MODELS) + 1

    def test_without_stages_and_speed_their_columns_are_left_out(self, runs):
        heads = choice_table(runs, [], Speeds()).splitlines()[0]
        assert heads == "| model | kind | AUC, `holdout` | AUC, `temporal` |"

    def test_nothing_of_a_leaking_protocol(self, runs):
        assert choice_table(runs[runs["protocol"] == "holdout"].assign(protocol="published"), [], Speeds()) == ""


class TestTables:
    def test_one_table_a_protocol_with_every_model_and_the_random_choice(self, runs, entries):
        parts = stage_tables(entries, runs)
        assert [part for part in parts if part.startswith("###")] == ["### `holdout`", "### `temporal`"]
        rows = lines_of(parts[1])
        models = {entry.title for name, entry in MODELS.items() if name != RANKER}
        assert set(rows) == models | {"random choice"}
        assert rows["random choice"][2:6] == [".125", ".250", ".500", "0"]
        assert parts[2] == "Ranker: DCN (seed 1023, 1024)."

    def test_the_two_of_the_papers_are_compared_seed_by_seed(self, runs, entries):
        shares = {("int_tower", 1023): 0.5, ("int_tower", 1024): 0.6, ("hit", 1023): 0.4, ("hit", 1024): 0.5}
        own = [entry for entry in entries if entry["protocol"] == "holdout"]
        for entry in own:
            entry["survivors"]["200"] = shares.get((entry["model"], entry["seed"]), 0.1)
        assert stage_tables(own, runs)[4] == (
            "- IntTower minus HIT: **+.100 ± .000** in 200, +.000 ± .000 in 400 and +.000 ± .000 in 800."
        )
        alone = [entry for entry in own if entry["model"] != "hit"]
        assert not any("paired" in part for part in stage_tables(alone, runs))

    def test_numbers_by_hand(self, runs, entries):
        own = [entry for entry in entries if (entry["protocol"], entry["model"]) == ("holdout", "hit")]
        for entry, share in zip(own, (0.4, 0.6), strict=True):
            entry["survivors"]["200"] = share
        cells = lines_of(stage_tables(entries, runs)[1])["HIT"]
        assert cells[2] == ".500 ± 1.271"  # s = .1414, t(.975, 1) = 12.706

    def test_two_tower_models_come_first_and_the_best_of_them_leads(self, runs, entries):
        titles = [MODELS[name].title for name in TWO_TOWERS]
        first = list(lines_of(stage_tables(entries, runs)[1]))[: len(titles)]
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
        assert set(stage_frame(entries, other_ranker)["seed"]) == {1024}

    def test_entries_without_their_runs_are_left_out(self, runs, entries):
        assert set(stage_frame(entries, runs[runs["seed"] == 1024])["seed"]) == {1024}


class TestCalibration:
    def test_every_model_under_every_protocol_that_has_run(self, runs):
        table = calibration_table(runs)
        assert table.splitlines()[0] == "| ECE | `holdout` | `temporal` |"
        assert set(lines_of(table)) == {entry.title for entry in MODELS.values()}

    def test_numbers_by_hand(self, runs):
        of_hit = (runs["protocol"] == "holdout") & (runs["model"] == "hit")
        runs.loc[of_hit, "ece"] = [0.04, 0.06]
        assert lines_of(calibration_table(runs))["HIT"][1] == ".0500 ± .1271"  # s = .01414, t(.975, 1) = 12.706

    def test_ablations_are_not_among_the_seeds(self, runs):
        assert calibration_table(pd.concat([runs, runs.assign(variant="other", ece=0.9)])) == calibration_table(runs)


class TestWhatIsThere:
    def test_calibration_without_stages(self, runs):
        assert stage_tables([], runs) == []
        text = "\n".join(stage_sections([], runs, "figure"))
        assert calibration_table(runs) in text
        assert not any(word in text for word in ("survivors", "pre-ranking"))

    def test_stages_without_calibration(self, runs, entries):
        older = runs.assign(ece=float("nan"), bins=None)
        assert stage_tables(entries, older) == stage_tables(entries, runs)
        assert calibration_table(older) == ""
        assert not reliability_models(older)
        assert any("survivors" in part for part in stage_sections(entries, older, "figure"))

    def test_results_from_before_all_of_it(self, runs):
        older = runs.drop(columns=["ece", "bins", "epoch_auc"])
        assert stage_sections([], older, "figure") == []
        assert stage_pictures(older, []) == {}
        assert calibration_table(older) == ""
        assert "pre-ranking" not in full_report(Results("ml-1m", older))

    def test_the_report_shows_the_section_and_its_pictures(self, runs, entries):
        report = full_report(Results("ml-1m", runs, stages=entries))
        assert report.count("## What pre-ranking is for") == 1
        for name in ("survivors", "reliability", "learning"):
            assert f'src="../figure/{name}-light.png"' in report
        assert report.index("## What pre-ranking is for") > report.index("## From protocol to protocol")


class TestPictures:
    def test_each_is_drawn_on_light_and_on_dark(self, runs, entries, tmp_path):
        pictures = stage_pictures(runs, entries)
        names = {path.name for name, picture in pictures.items() for path in draw(tmp_path, name, picture)}
        expected = ("survivors", "reliability", "learning")
        assert names == {f"{name}-{theme}.png" for name in expected for theme in ("light", "dark")}
        assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in names)

    def test_of_a_single_model(self, runs, entries):
        pair = runs[runs["model"].isin(["hit", RANKER])]
        pictures = stage_pictures(pair, entries)
        assert set(pictures) == {"survivors", "reliability", "learning"}
        assert all(picture.on(LIGHT).axes for picture in pictures.values())

    def test_reliability_of_the_papers_models_and_the_best_others(self, runs):
        assert reliability_models(runs) == ["dssm", "poly_encoder", "int_tower", "hit", RANKER]

    def test_curves_are_means_over_seeds_as_far_as_all_came(self, runs):
        own = runs[runs["protocol"] == "holdout"]
        found = curves(own)
        assert set(found) == set(MODELS) - {"gbdt"}
        parts = own[own["model"] == "hit"]["epoch_auc"].tolist()
        assert [len(part) for part in parts] == [3, 2]
        assert found["hit"].tolist() == pytest.approx([(parts[0][i] + parts[1][i]) / 2 for i in range(2)])

    def test_pooled_bins_are_the_bins_of_all_rows(self):
        rng = np.random.default_rng(1)
        labels, probabilities = rng.integers(0, 2, 500), rng.random(500)
        parts = [calibration(labels[rows], probabilities[rows])["bins"] for rows in np.split(np.arange(500), [10, 200])]
        pooled, whole = pooled_bins(parts), calibration(labels, probabilities)["bins"]
        assert pooled["count"].tolist() == whole["count"]
        for name in ("mean_probability", "positive_share"):
            assert pooled[name].tolist() == pytest.approx(whole[name])
