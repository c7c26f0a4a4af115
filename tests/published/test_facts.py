"""What docs/published_code.md says about the releases' models, as `--as_released` builds them, and of its commands."""

from __future__ import annotations

import math
import re
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
from model.differences import DIFFERENCES, HIT, INT_TOWER, RANKING, TWO_TOWERS
from model.layers.light_se import LightSE
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


def logits(model: CTRModel, data: Dataset) -> torch.Tensor:
    """Of training rows in training mode, so that batch norm does what it does in training."""
    model.train()
    return model.output(data.train.batch(torch.arange(len(data.train)), model.feature_names)).logits.detach()


class TestCommands:
    @pytest.mark.parametrize("command", re.findall(r"^python train_movielens_\w+\.py ([^#\n]*)", PAGE, re.MULTILINE))
    def test_those_of_the_page_are_valid(self, command):
        assert parse_options("movielens", None, command.split()).as_released

    @pytest.mark.parametrize(
        "difference", [each for each in DIFFERENCES if each.reproduced], ids=lambda each: each.name
    )
    def test_a_switch_of_the_table_is_taken_by_each_of_its_models(self, difference):
        wanted = {name: value for name, value in difference.settings.items() if name not in NOT_ALONE}
        for name in difference.models:
            options = options_of(name, *arguments_of(wanted), dataset=difference.datasets[0])
            assert {key: vars(options).get(key, options.model_arguments.get(key)) for key in wanted} == wanted, name

    def test_what_is_not_reproduced_says_why(self):
        assert all(each.reproduced == bool(each.settings) == (not each.why) for each in DIFFERENCES)


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

    @pytest.mark.parametrize(("release", "name"), [form for form in FORMS if form[1] in ("dssm", "dat")])
    def test_the_odds_of_two_rows_differ_by_a_factor_of_e_at_most(self, release, name, dataset):
        model = released_on(dataset, release, name)
        scatter(model)
        scores = logits(model, dataset)
        assert 0.01 < scores.max() - scores.min() <= 1
        as_in_the_paper = build_model(name, dataset.feature_columns(32), seed=1)
        scatter(as_in_the_paper)
        assert logits(as_in_the_paper, dataset).min() < 0  # no bias yet: a cosine below 0

    @pytest.mark.parametrize("name", ["mvke", "poly_encoder"])
    def test_scores_of_hits_other_baselines_are_cosines(self, name, dataset):
        model = released_on(dataset, "hit", name)
        scatter(model)
        assert 0 < logits(model, dataset).abs().max() <= 1 + 1e-6
        product = build_model(name, dataset.feature_columns(32), seed=1)
        scatter(product)
        assert logits(product, dataset).abs().max() > 1

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


def scatter(model: nn.Module) -> None:
    """Larger weights, as after training, so that scores spread; biases of scores stay 0."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / math.sqrt(parameter.shape[1]))


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
    UNUSED = 2 * 4 + 2 * 2  # in the release's two SENET layers, which are never called

    @pytest.mark.parametrize(("heads", "parameters"), [(4, 883_433), (32, 2_426_345)])
    def test_int_tower_has_the_releases(self, heads, parameters):
        columns = movielens_columns()
        ours = options_of("int_tower", "--as_released", "--set", f"user_head={heads}", "--set", f"item_head={heads}")
        theirs = PublishedIntTower(columns.user, columns.item, heads, 64, dropout=0.3)
        assert count(build_model("int_tower", columns, **ours.model_arguments)) == count(theirs)
        assert count(theirs) + self.UNUSED == parameters
        assert f"{parameters:,}" in PAGE

    def test_no_number_of_heads_gives_the_papers(self):
        each = (2_426_345 - 883_433) // 28  # parameters of a head on both sides
        assert each == 64 * (129 + 300 + 300 + 128 + 4)  # its rows of four projections, with biases
        sizes = np.array([883_433 + (heads - 4) * each for heads in range(1, 33)])
        assert MODELS["int_tower"].paper_parameters["ml-1m"] == 1_180_000
        assert np.abs(sizes - 1_180_000).min() > 20_000

    def test_hit_has_those_of_the_published_computation(self):
        columns = movielens_columns(HISTORY)
        theirs = PublishedHIT(columns, heads=2, field_dim=16, dropout=0.3)
        assert count(released("hit", "hit", columns)) == count(theirs)
