"""What docs/published_code.md says about the releases' models, as `--as_released` builds them, and of its commands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from script_helpers import write_movielens
from torch import nn

from benchmarks.published_hit import PublishedHIT
from benchmarks.published_int_tower import PublishedIntTower
from experiment.options import parse_options
from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import FeatureColumns
from leaderboard.differences import NOT_ALONE
from leaderboard.settings import arguments_of
from model import MODELS, build_model
from model.base import CTRModel
from model.difference import HIT, INT_TOWER, RANKING, TWO_TOWERS
from model.layers.light_se import LightSE
from model.released import DIFFERENCES
from preprocessing.dataset import Dataset
from preprocessing.load import load_movielens

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "published_code.md").read_text(encoding="utf-8")
FORMS = [("inttower", name) for name in INT_TOWER] + [("hit", name) for name in HIT]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    return Dataset.build(load_movielens(str(write_movielens(tmp_path_factory.mktemp("ml")))), "published", 1023)


def options_of(name: str, *argv: str, dataset: str = "movielens"):
    return parse_options(dataset, None, ["--model_name", name, *argv])


def released(name: str, release: str, columns: FeatureColumns) -> CTRModel:
    options = options_of(name, "--as_released", release)
    return build_model(name, columns, **options.model_arguments, dnn_dropout=options.dropout, seed=1)


def released_on(data: Dataset, release: str, name: str) -> CTRModel:
    return released(name, release, data.feature_columns(**options_of(name, "--as_released", release).columns))


class TestCommands:
    @pytest.mark.parametrize("difference", [each for each in DIFFERENCES if each.settings], ids=lambda each: each.name)
    def test_a_switch_of_the_table_is_taken_by_each_of_its_models(self, difference):
        wanted = {name: value for name, value in difference.settings.items() if name not in NOT_ALONE}
        for name in difference.models:
            options = options_of(name, *arguments_of(wanted), dataset=difference.datasets[0])
            taken = {**vars(options), **options.model_arguments, "dnn_dropout": options.dropout}
            assert {key: taken[key] for key in wanted} == wanted, name


class TestColumns:
    @pytest.mark.parametrize(("release", "fields"), [("inttower", 4), ("hit", 5)])
    def test_all_models_of_hits_release_have_the_history_and_none_of_int_towers(self, release, fields, dataset):
        for name in INT_TOWER if release == "inttower" else HIT:
            options = options_of(name, "--as_released", release)
            columns = dataset.feature_columns(**options.columns)
            user, item = (
                [c.name for c in side if not isinstance(c, DenseFeat)] for side in (columns.user, columns.item)
            )
            assert (len(user), len(item)) == (fields, 2), name
            assert ("liked_movies" in user) == options.own_history_table == (release == "hit"), name


class TestForms:
    def test_hit_has_no_light_se_and_int_towers_has_no_bias(self, dataset):
        assert not any(isinstance(part, LightSE) for part in released_on(dataset, "hit", "hit").modules())
        for release, fields in (("inttower", 4), ("hit", 5)):
            maps = [part for part in released_on(dataset, release, "int_tower").modules() if isinstance(part, LightSE)]
            assert [[tuple(each.shape) for each in part.parameters()] for part in maps] == [
                [(fields, fields)],
                [(2, 2)],
            ]

    @pytest.mark.parametrize(("release", "name"), FORMS)
    def test_two_tower_models_have_batch_norm_and_ranking_models_have_none(self, release, name, dataset):
        parts = [part for part in released_on(dataset, release, name).modules() if isinstance(part, nn.BatchNorm1d)]
        assert bool(parts) == (name in TWO_TOWERS) == (name not in RANKING)

    @pytest.mark.parametrize(("release", "without"), [("inttower", {"dssm"}), ("hit", {"dssm", "wide_and_deep"})])
    def test_which_models_have_no_dropout(self, release, without):
        names = [name for each, name in FORMS if each == release]
        assert {name for name in names if not options_of(name, "--as_released", release).dropout} == without

    @pytest.mark.parametrize("release", ["inttower", "hit"])
    def test_a_ranking_models_deep_part_starts_silent(self, release, dataset):
        """Its output hardly varies over rows, beside that of the same network as torch starts it."""
        spread = {}
        for start, argv in (("released", ["--as_released", release]), ("torch's", ["--set", "init_std=0.0001"])):
            options = options_of("deep_fm", *argv)
            columns = dataset.feature_columns(**options.columns)
            arguments = {**options.model_arguments, "dnn_use_bn": False}
            model = build_model("deep_fm", columns, **arguments, seed=1).eval()
            batch = dataset.train.batch(torch.arange(len(dataset.train)), model.feature_names)
            seen = []
            last = [part for part in model.modules() if isinstance(part, nn.Linear)][-1]
            last.register_forward_hook(lambda part, inputs, output, seen=seen: seen.append(output.detach()))
            model.output(batch)
            spread[start] = seen[0].std().item()
        assert spread["released"] < 1e-3 * spread["torch's"]


# MovieLens-1M without ratings of 3, with the releases' fixed tables for lists.
SIZES = {"user_id": 6040, "gender": 2, "age": 7, "occupation": 21}
GENRES = VarLenSparseFeat(SparseFeat("genres", 1000, embedding_dim=32), maxlen=6, combiner="mean")
HISTORY = VarLenSparseFeat(SparseFeat("history", 4000, embedding_dim=32), maxlen=9, combiner="mean")


def movielens_columns(*lists: VarLenSparseFeat) -> FeatureColumns:
    user = [SparseFeat(name, size, 32) for name, size in SIZES.items()]
    item = [SparseFeat("movie_id", 3668, 32), GENRES, DenseFeat("item_mean", 1)]
    return FeatureColumns([*user, *lists, DenseFeat("user_mean", 1)], item, ("gender", "age"), ("movie_id",))


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


class TestParameters:
    """How many the released IntTower has, tests/model/test_released.py says, too: of this project's form."""

    @pytest.mark.parametrize(("heads", "parameters"), [(4, 883_433), (32, 2_426_345)])
    def test_int_tower_has_those_of_the_page_in_the_computation_that_is_timed(self, heads, parameters):
        columns = movielens_columns()
        unused = 2 * 4 + 2 * 2  # two SENET layers, of 4 and 2 fields, each to a single number and back
        model = PublishedIntTower(columns.user, columns.item, heads, 64, dropout=0.3)
        assert count(model) + unused == parameters
        assert f"{parameters:,}" in PAGE

    def test_no_number_of_heads_gives_the_papers(self):
        each = (2_426_345 - 883_433) // 28  # parameters of a head on both sides
        assert each == 64 * (129 + 300 + 300 + 128 + 4)  # its rows of four projections, with biases
        sizes = np.array([883_433 + (heads - 4) * each for heads in range(1, 33)])
        assert MODELS["int_tower"].paper_parameters["ml-1m"] == 1_180_000
        assert np.abs(sizes - 1_180_000).min() > 20_000

    def test_hit_has_those_of_the_computation_that_is_timed(self):
        columns = movielens_columns(HISTORY)
        theirs = PublishedHIT(columns, heads=2, field_dim=16, dropout=0.3)
        assert count(released("hit", "hit", columns)) == count(theirs)
