"""The released forms: equal to plain re-implementations, started as released, and accepted by every model."""

from __future__ import annotations

import pytest
import released_by_hand
import torch
from released_by_hand import LOGITS, cosine
from zoo import COLUMNS, arrays

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.feature_columns import FeatureColumns
from kernels.linear import Linear
from model import MODELS, TRAINING_DEFAULTS, build_model
from model.difference import HIT, INT_TOWER
from model.effects import constructor_defaults
from model.released import DIFFERENCES, RELEASES, release_of, released_settings

OPTIONS = {"embedding_dim", "batch_size", "lr", "lr_schedule", "epochs", "patience"}
OPTIONS |= {"history", "own_history_table", "summed_loss", "loss", "published_eval_mode"}  # of no constructor
FORMS = [(name, release) for release, held in zip(RELEASES, (INT_TOWER, HIT), strict=True) for name in held]
FORM_IDS = ["-".join(form) for form in FORMS]
SIZES = {"dnn_hidden_units", "dnn_dropout", "field_dim", "num_heads", "user_head", "item_head"}
SMALL = {"dnn_hidden_units": (16, 12, 8), "dnn_dropout": 0.0, "tower_std": 0.3, "init_std": 1.0, "seed": 3}
# Of the columns of each data set what the settings name.
NAMED = {
    "movielens": COLUMNS,
    "amazon": FeatureColumns(
        [SparseFeat("reviewerID", 9, 4), DenseFeat("user_mean_rating")],
        [SparseFeat("asin", 9, 4), SparseFeat("categories", 5, 4), DenseFeat("item_mean_rating")],
    ),
    "taobao": FeatureColumns([SparseFeat("userid", 9, 4), SparseFeat("age_level", 5, 4)], [SparseFeat("brand", 9, 4)]),
}


def arguments_of(name: str, dataset: str = "movielens", release: str | None = None) -> dict:
    """Of the constructor alone."""
    settings = released_settings(name, dataset, release)
    return {key: value for key, value in settings.items() if key not in OPTIONS}


def small(name: str, **arguments):
    """A released form with small layers, and batch norms that have seen something."""
    heads = {"user_head": 4, "item_head": 4, "field_dim": 3} if name == "int_tower" else {}
    settings = arguments_of(name) | SMALL | heads | arguments
    model = build_model(name, COLUMNS, **settings)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            for tensor, least in ((module.weight, 0.5), (module.bias, -0.5), (module.running_var, 0.5)):
                tensor.data = least + torch.rand(tensor.shape, generator=generator)
            module.running_mean.data = torch.randn(module.num_features, generator=generator)
    return model


@pytest.fixture
def batch():
    """Features and labels of 64 rows"""
    x, y = arrays()
    return {
        name: torch.from_numpy(values).to(torch.get_default_dtype() if values.dtype.kind == "f" else torch.int64)
        for name, values in x.items()
    }, torch.from_numpy(y).float()


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
class TestPlainReimplementation:
    @pytest.mark.parametrize("name", LOGITS)
    def test_has_the_same_logits(self, name, training, batch):
        model = small(name).train(training)
        plain = LOGITS[name](model, batch[0], training)
        assert plain.std() > 1e-3
        torch.testing.assert_close(model(batch[0]), plain, rtol=1e-6, atol=1e-6)

    @pytest.mark.parametrize("name", ["dssm", "dat", "mvke", "poly_encoder"])
    def test_has_the_same_cosine_at_its_start(self, name, training, batch):
        """Vectors are so short in training then that what is added to the product of their lengths shows. In float64:
        batch norm enlarges what is rounded."""
        start = small(name, tower_std=1e-4, init_std=1e-4).double().train(training)
        for module in start.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.reset_running_stats()
                module.reset_parameters()
        x = {key: value.double() if value.is_floating_point() else value for key, value in batch[0].items()}
        torch.testing.assert_close(start(x), LOGITS[name](start, x, training), rtol=0, atol=1e-6)

    def test_generation_loss_of_hit(self, training, batch):
        model = small("hit").train(training)
        loss = model.losses(*batch, model.output(batch[0]))["generation"]
        plain = released_by_hand.generation(model, *batch, training)
        assert abs(plain.item()) > 0.01
        torch.testing.assert_close(loss, plain, rtol=1e-6, atol=1e-6)

    def test_mimic_loss_of_dat(self, training, batch):
        features, labels = batch
        model = small("dat").train(training)
        output = model.output(features)
        latent, total = output.latent, 0.0
        for mimics, originals in ((latent["user_mimic"], latent["item"]), (latent["item_mimic"], latent["user"])):
            y = labels.unsqueeze(1)
            total += ((y * mimics + (1 - y) * originals - originals) ** 2).sum().item() / mimics.numel()
        assert model.losses(features, labels, output)["mimic"].item() == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("name", ["dssm", "dat", "mvke", "poly_encoder"])
@torch.no_grad()
def test_a_released_cosine_lies_in_0_to_1(name, batch):
    for training in (False, True):
        model = small(name).train(training)
        model.interaction.bias += 2.5
        cosines = model(batch[0]) - 2.5
        assert cosines.min() >= -1e-6
        assert cosines.max() <= 1 + 1e-6
    linear = small("dssm", relu_output=False)
    assert (linear.eval()(batch[0]) < 0).any()


class TestStart:
    @pytest.mark.parametrize(("name", "release"), FORMS, ids=FORM_IDS)
    def test_weights_of_towers_start_at_1e_4(self, name, release):
        model = build_model(name, COLUMNS, **arguments_of(name, release=release))
        tower = [module for key, module in model.named_modules() if "tower" in key and isinstance(module, Linear)]
        assert len(tower) in (3, 6)
        for module in tower:
            assert module.weight.std().item() == pytest.approx(1e-4, rel=0.1)
            assert module.bias.abs().max() > 1e-3  # torch's default

    @pytest.mark.parametrize("name", ["int_tower", "hit"])
    def test_projections_start_at_torchs_default(self, name):
        block = build_model(name, COLUMNS, **arguments_of(name)).fe_block
        for module in (*block.user_projections, block.item_projection):
            assert module.weight.std().item() == pytest.approx((3 * module.in_features) ** -0.5, rel=0.1)
            assert module.bias.abs().max() > 1e-3

    def test_generators_start_at_1e_4(self):
        model = build_model("hit", COLUMNS, **arguments_of("hit"))
        for generators in (model.user_generators, model.item_generators):
            for network in generators.networks.values():
                assert [network[place].weight.std().item() for place in (0, 2)] == pytest.approx([1e-4] * 2, rel=0.2)

    def test_a_start_that_is_none_is_refused(self):
        with pytest.raises(InputError, match=r"tower_std must be positive.*Received: 0"):
            build_model("dssm", COLUMNS, tower_std=0.0)


class TestFEBlock:
    @torch.no_grad()
    def test_sum_and_mean_are_the_same_function_of_other_weights(self, batch):
        summed, mean = small("int_tower"), small("int_tower", fe_sum=False)
        mean.load_state_dict(summed.state_dict())
        for projection in mean.fe_block.user_projections:
            projection.weight *= 3 * 4
            projection.bias *= 3 * 4
        for training in (False, True):
            logits = summed.train(training)(batch[0])
            torch.testing.assert_close(mean.train(training)(batch[0]), logits, rtol=1e-5, atol=1e-5)

    def test_the_last_layer_of_the_user_alone_is_idle(self, batch):
        for weight, idle in ((0.0, {"user_tower.layers.2"}), (0.1, set())):
            model = small("int_tower", cir_weight=weight)
            torch.stack(list(model.losses(*batch, model.output(batch[0])).values())).sum().backward()
            without = {name.rsplit(".", 2)[0] for name, each in model.named_parameters() if each.grad is None}
            assert without == idle
            assert model.has_idle_parameters is bool(idle)


class TestParameters:
    """The release's count of IntTower's parameters on MovieLens-1M: 3,668 movies are rated otherwise than by 3."""

    UNUSED = (4 * 1 + 1 * 4) + (2 * 1 + 1 * 2)  # SENET of both sides, which its forward pass leaves out

    @pytest.mark.parametrize(("heads", "published"), [(4, 883_433), (32, 2_426_345)])
    def test_are_the_releases_but_for_unused_layers(self, heads, published):
        sizes = {"user_id": 6040, "gender": 2, "age": 7, "occupation": 21}
        user = [SparseFeat(name, size, 32) for name, size in sizes.items()]
        genres = VarLenSparseFeat(SparseFeat("genres", 1000, 32), maxlen=6, combiner="mean")
        item = [SparseFeat("movie_id", 3668, 32), genres, DenseFeat("item_mean_rating")]
        columns = FeatureColumns([*user, DenseFeat("user_mean_rating")], item)
        arguments = arguments_of("int_tower") | {"user_head": heads, "item_head": heads}
        model = build_model("int_tower", columns, **arguments)
        assert model.num_parameters + self.UNUSED == published


class TestSettings:
    @pytest.mark.parametrize("dataset", TRAINING_DEFAULTS)
    @pytest.mark.parametrize(("name", "release"), FORMS, ids=FORM_IDS)
    def test_are_accepted(self, name, release, dataset):
        arguments = arguments_of(name, dataset, release)
        assert arguments.keys() <= MODELS[name].arguments
        assert build_model(name, NAMED[dataset], **arguments).settings.items() >= arguments.items()

    @pytest.mark.parametrize(("name", "release"), FORMS, ids=FORM_IDS)
    def test_say_every_option(self, name, release):
        assert released_settings(name, "movielens", release).keys() >= OPTIONS

    def test_of_each_release(self):
        first, second = (released_settings("int_tower", "movielens", release) for release in RELEASES)
        assert (first["batch_size"], first["user_head"], first["history"]) == (2048, 32, False)
        assert (second["batch_size"], second["user_head"], second["history"]) == (128, 2, True)

    def test_evaluation_mode_is_left_out_where_it_changes_nothing(self):
        assert not released_settings("wide_and_deep", "movielens", "hit")["published_eval_mode"]
        assert released_settings("wide_and_deep", "movielens")["published_eval_mode"]

    @pytest.mark.parametrize(
        ("model", "release", "message"),
        [
            ("lr", None, "Neither release holds lr"),
            ("gbdt", "hit", "Neither release holds gbdt"),
            ("mvke", "inttower", "inttower does not hold mvke. Give hit"),
            ("dssm", "deepctr", "release must be one of inttower, hit. Received: 'deepctr'"),
        ],
    )
    def test_what_no_release_has_is_refused(self, model, release, message):
        with pytest.raises(InputError, match=message):
            release_of(model, release)


class TestDifferences:
    def test_are_said_once_in_sentences(self):
        names = [each.name for each in DIFFERENCES]
        assert len(set(names)) == len(names)
        for each in DIFFERENCES:
            for text in (each.what, each.why):
                assert text == "" or (text[0].isupper() and text.endswith(".")), each.name
            assert each.where, each.name

    def test_bring_what_they_say(self):
        for each in DIFFERENCES:
            assert each.reproduced or not each.settings, each.name
            assert set(each.models) <= MODELS.keys(), each.name
            assert {*each.releases} <= {*RELEASES}, each.name
            if each.part == "model":
                for name in each.models:
                    assert each.settings.keys() <= MODELS[name].arguments, (each.name, name)

    @pytest.mark.parametrize("dataset", TRAINING_DEFAULTS)
    @pytest.mark.parametrize(("name", "release"), FORMS, ids=FORM_IDS)
    def test_all_that_is_not_a_size_stands_in_a_row(self, name, release, dataset):
        """No argument of the constructor departs from its default in a released form without one."""
        usual = constructor_defaults(MODELS[name].model_class)
        arguments = arguments_of(name, dataset, release)
        departing = {key for key, value in arguments.items() if value != usual[key]}
        said = {key for each in DIFFERENCES if each.concerns(name, release, dataset) for key in each.settings}
        assert departing - SIZES <= said
        assert departing & said


def test_cosine_by_hand():
    """Of what the plain models are made of: 3 * 4 + 4 * 3 over 5 * 5."""
    assert cosine(torch.tensor([[3.0, 4.0]]), torch.tensor([[4.0, 3.0]])).item() == pytest.approx(24 / 25)
