"""What must hold for every model of the table."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from helpers import assert_same_weights, plain_arrays
from zoo import (
    COLUMNS,
    NAMES,
    NEURAL,
    SMALL,
    TWO_TOWERS,
    arrays,
    batch_of,
    build,
    columns_of,
    fitted,
    no_l2,
    total_loss,
)

from model import MODELS, TRAINING_DEFAULTS, default_settings, find_model, load_model, name_of

EPOCHS_TO_OVERFIT = 300


class TestTable:
    @pytest.mark.parametrize("name", NAMES)
    def test_name_and_aliases_find_the_model(self, name):
        for spelling in (name, name.upper(), name.replace("_", "-"), *MODELS[name].aliases):
            assert find_model(spelling) == name

    @pytest.mark.parametrize("name", NAMES)
    def test_defaults_are_settings_of_the_run_or_arguments_of_the_model(self, name):
        for dataset in TRAINING_DEFAULTS:
            settings = default_settings(name, dataset)
            assert settings.keys() - TRAINING_DEFAULTS[dataset].keys() <= MODELS[name].arguments

    @pytest.mark.parametrize("name", NAMES)
    def test_model_knows_its_name(self, name):
        assert name_of(build(name, COLUMNS)) == name

    def test_tim_is_hit(self):
        assert find_model("TIM") == "hit"


@pytest.mark.parametrize("name", NAMES)
class TestBatch:
    def test_score_of_a_row_does_not_depend_on_its_batch(self, name, data):
        model = fitted(name, data).eval()
        together = model(batch_of(model, data.test))
        for row in range(5):
            for others in (slice(row, row + 1), slice(row, None, 7), slice(row, None, 2)):
                alone = model(batch_of(model, data.test, others))[0]
                assert alone.item() == pytest.approx(together[row].item(), abs=1e-5)

    def test_prediction_of_a_source_equals_forward(self, name, data):
        model = fitted(name, data)
        with torch.no_grad():
            logits = model.eval()(batch_of(model, data.test))
            for size in (1, 16, 10_000):
                assert torch.allclose(model.predict_logits(data.test, batch_size=size), logits, atol=1e-5)

    def test_forward_keeps_nothing_on_the_model(self, name, data):
        model = fitted(name, data)
        before = {path: dict(vars(module)) for path, module in model.named_modules()}
        total_loss(model, batch_of(model, data.test), data.test.labels)
        for path, module in model.named_modules():
            assert vars(module).keys() == before[path].keys()
            assert all(value is before[path][key] for key, value in vars(module).items()), path

    def test_constant_labels_give_a_finite_loss(self, name, data):
        model = fitted(name, data).train()
        features = batch_of(model, data.train, slice(0, 20))
        for labels in (torch.zeros(20), torch.ones(20)):
            loss = total_loss(model, features, labels)
            assert torch.isfinite(loss)
            if loss.requires_grad:
                model.zero_grad()
                loss.backward()
                gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
                assert all(torch.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", TWO_TOWERS)
class TestTwoTowers:
    def test_encode_and_score_equal_forward(self, name, data):
        model = fitted(name, data).eval()
        features = batch_of(model, data.test)
        users, items = model.encode_user(features), model.encode_item(features)
        assert torch.allclose(model.interaction(users, items), model(features), atol=1e-6)

    def test_products_of_all_pairs_reduce_to_the_logits_of_aligned_rows(self, name, data):
        model = fitted(name, data).eval()
        some, others = batch_of(model, data.test, slice(0, 4)), batch_of(model, data.test, slice(4, 11))
        users, items = model.encode_user(some), model.encode_item(others)
        products = torch.einsum("uqd,nhd->huqn", model.interaction.query(users), items)
        pairs = model.interaction.reduce(products[None])[0]
        assert pairs.shape == (4, 7)
        user_names = {column.name for column in model.user_columns}
        for user in range(4):
            for item in range(7):
                mixed = {
                    key: batch_of(model, data.test, slice(row, row + 1))[key]
                    for key in model.feature_names
                    for row in [user if key in user_names else 4 + item]
                }
                assert pairs[user, item].item() == pytest.approx(model(mixed).item(), abs=1e-5)

    def test_each_side_reads_its_own_features_only(self, name, data):
        model = fitted(name, data).eval()
        features = batch_of(model, data.test)
        for side, columns in ((model.encode_user, model.user_columns), (model.encode_item, model.item_columns)):
            side({column.name: features[column.name] for column in columns})


@pytest.mark.parametrize("name", NAMES)
class TestTraining:
    def test_repeats_to_the_bit(self, name, data):
        models, histories = [], []
        for state in (1, 2):
            torch.manual_seed(state)  # what happened before must not matter
            models.append(fitted(name, data))
            history = models[-1].history.history
            histories.append({key: history[key] for key in history if key not in ("seconds", "rows_per_second")})
        assert_same_weights(*models)
        assert histories[0] == histories[1]
        assert np.array_equal(models[0].predict(data.test), models[1].predict(data.test))

    def test_saved_model_predicts_the_same(self, name, data, tmp_path):
        model = fitted(name, data)
        model.save(tmp_path)
        loaded = load_model(tmp_path)
        assert type(loaded) is type(model)
        assert not loaded.training
        assert_same_weights(loaded, model)
        assert loaded.settings == model.settings
        assert not [key for key in model.settings if "columns" in key]
        assert np.array_equal(loaded.predict(data.test), model.predict(data.test))

    def test_overfits_64_rows(self, name):
        x, y = arrays()
        sizes = {"dnn_hidden_units": (32, 16)} if "dnn_hidden_units" in MODELS[name].arguments else {}
        model = build(name, COLUMNS, **no_l2(name), **sizes)
        model.compile("adam", lr=0.1 if name == "gbdt" else 0.02)
        model.fit(x, y, batch_size=64, epochs=EPOCHS_TO_OVERFIT, verbose=0)
        assert model.evaluate(x, y)["logloss"] < 0.05

    def test_loss_terms_are_logged_by_name(self, name, data):
        model = build(name, columns_of(data))
        model.compile("adam", lr=0.01)
        logs = model.fit(data.train, batch_size=32, epochs=1, verbose=0).history
        extra = {"int_tower": "cir", "hit": "generation", "dat": "mimic"}.get(name)
        if extra:
            assert logs[extra][0] > 0
            assert logs["loss"][0] == pytest.approx(logs["ctr"][0] + logs[extra][0])
        else:
            assert "ctr" not in logs


@pytest.mark.parametrize("name", NEURAL)
class TestLearning:
    def test_seed_matters(self, name, data):
        left, right = fitted(name, data).predict(data.test), fitted(name, data, seed=4).predict(data.test)
        assert not np.array_equal(left, right)

    def test_bfloat16_trains(self, name, data):
        model = build(name, columns_of(data))
        model.compile("adam", lr=0.01)
        history = model.fit(data.train, batch_size=32, epochs=1, precision="bf16_forced", verbose=0).history
        assert np.isfinite(history["loss"]).all()

    def test_every_parameter_learns(self, name, data):
        model = build(name, columns_of(data), **no_l2(name))
        features, labels = batch_of(model, data.train), data.train.labels
        total_loss(model, features, labels).backward()
        unused = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.any()]
        assert not unused

    def test_optimiser_moves_every_parameter(self, name, data):
        model = build(name, columns_of(data), **no_l2(name))
        before = {key: value.detach().clone() for key, value in model.named_parameters()}
        model.compile("adam", lr=0.01)
        model.fit(data.train, batch_size=32, epochs=1, verbose=0)
        still = [key for key, value in model.named_parameters() if torch.equal(value, before[key])]
        assert not still


@pytest.mark.parametrize("name", NAMES)
class TestPublishedInterface:
    def test_dicts_of_arrays(self, name):
        x, y = arrays()
        model = build(name, COLUMNS, task="binary", device="cpu")
        model.compile("adam", "binary_crossentropy", metrics=["auc", "logloss"], lr=0.1 if name == "gbdt" else 0.01)
        history = model.fit(x, y, batch_size=32, epochs=3, verbose=0, validation_split=0.25)
        assert {"val_auc", "val_logloss"} <= history.history.keys()
        assert len(history.history["loss"]) == 3
        probabilities = model.predict(x, batch_size=256)
        assert probabilities.shape == (64, 1)
        assert ((probabilities > 0) & (probabilities < 1)).all()
        assert model.evaluate(x, y).keys() == {"auc", "logloss"}

    def test_arrays_and_splits_give_the_same_predictions(self, name, data):
        model = fitted(name, data)
        x = plain_arrays(data.test, model.feature_names)
        assert np.allclose(model.predict(x), model.predict(data.test), atol=1e-6)

    def test_model_line_of_the_readme(self, name):
        """`Model(linear_feature_columns, dnn_feature_columns, task="binary", dnn_dropout=dropout, device=device)`"""
        model_class = MODELS[name].model_class
        options = {"task": "binary", "device": "cpu"}
        if "dnn_dropout" in MODELS[name].arguments:
            options["dnn_dropout"] = 0.3
        if name in TWO_TOWERS:
            model_class(COLUMNS.user, COLUMNS.item, **options)
        elif "dnn_feature_columns" in inspect.signature(model_class).parameters:
            model_class(list(COLUMNS.all), list(COLUMNS.all), **options)  # two lists of the same columns, as in scripts
        else:
            model_class(COLUMNS.all, **options)

    def test_misspelt_option_is_an_error(self, name):
        with pytest.raises(TypeError, match="dropuot"):
            build(name, COLUMNS, dropuot=0.3)


def test_small_settings_name_known_models():
    assert SMALL.keys() <= MODELS.keys()


def test_encoders_give_vectors_of_one_size(data):
    for name in TWO_TOWERS:
        model = build(name, columns_of(data)).eval()
        features = batch_of(model, data.test)
        users, items = model.encode_user(features), model.encode_item(features)
        assert users.ndim == items.ndim == 3
        assert len(users) == len(items) == len(data.test)
        assert users.shape[2] == items.shape[2]
