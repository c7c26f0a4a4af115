"""Ranking models with parts left out, with dense columns alone, and with fields of several sizes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from helpers import assert_same_weights
from zoo import COLUMNS, ITEM, USER, arrays

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError, InputWarning
from model import load_model
from model.autoint import AutoInt
from model.cold import COLD
from model.dat import DAT
from model.dcn import DCN
from model.deepfm import DeepFM
from model.dssm import DSSM
from model.gbdt import GBDT
from model.layers.embedding import FeatureEmbedding
from model.layers.embedding_optimizer import tables_of
from model.layers.mixed_embedding import MixedEmbedding
from model.lr import LR
from model.wdm import WideDeep

DENSE = [column for column in COLUMNS.all if isinstance(column, DenseFeat)]
SPARSE = [column for column in COLUMNS.all if not isinstance(column, DenseFeat)]
X, Y = arrays()


def of_size(column, size: int):
    """The column with another embedding size, in a table of its own."""
    if isinstance(column, VarLenSparseFeat):
        return column._replace(sparsefeat=of_size(column.sparsefeat, size))
    return column._replace(embedding_dim=size, embedding_name=f"{column.name} of {size}")


MIXED_USER = [USER[0], of_size(USER[1], 2), of_size(USER[2], 3), USER[3]]
MIXED = [*MIXED_USER, *ITEM]


def fitted(model, epochs: int = 2, **options):
    model.compile("adam", lr=0.02, **options)
    model.fit(X, Y, batch_size=32, epochs=epochs, verbose=0)
    return model


def quietly(model_class, *columns, **arguments):
    """Without the warning about what does nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        return model_class(*columns, **arguments)


CASES = {
    "no linear part": (WideDeep, [], COLUMNS.all, {}),
    "no deep features": (WideDeep, COLUMNS.all, [], {}),
    "no tower": (WideDeep, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": ()}),
    "a list of units": (WideDeep, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": [8, 4], "dnn_activation": "prelu"}),
    "dense alone": (WideDeep, DENSE, DENSE, {"dnn_hidden_units": (8,)}),
    "sparse alone": (WideDeep, SPARSE, SPARSE, {"dnn_hidden_units": (8,)}),
    "fm, dense alone": (DeepFM, DENSE, DENSE, {"dnn_hidden_units": (8,), "dnn_dropout": 0.5}),
    "fm alone": (DeepFM, [], COLUMNS.all, {"dnn_hidden_units": ()}),
    "no fm": (DeepFM, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": (8,), "use_fm": False}),
    "linear alone": (DeepFM, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": (), "use_fm": False, "dnn_dropout": 0.5}),
    "bias alone": (DeepFM, [], COLUMNS.all, {"dnn_hidden_units": (), "use_fm": False, "dnn_dropout": 0.5}),
    "no cross": (DCN, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": (8,), "cross_num": 0}),
    "cross alone": (DCN, [], COLUMNS.all, {"dnn_hidden_units": ()}),
    "matrix": (DCN, COLUMNS.all, COLUMNS.all, {"dnn_hidden_units": (8,), "cross_parameterization": "matrix"}),
    "cross, dense alone": (DCN, DENSE, DENSE, {"dnn_hidden_units": (8,)}),
    "no attention": (AutoInt, COLUMNS.all, DENSE, {"dnn_hidden_units": (8,), "att_layer_num": 0}),
    "attention alone": (AutoInt, [], COLUMNS.all, {"dnn_hidden_units": (), "att_layer_num": 1}),
    "several sizes": (WideDeep, MIXED, MIXED, {"dnn_hidden_units": (8,)}),
    "several sizes, no fm": (DeepFM, MIXED, MIXED, {"dnn_hidden_units": (8,), "use_fm": False}),
    "several sizes, cross": (DCN, MIXED, MIXED, {"dnn_hidden_units": (8,), "cross_parameterization": "matrix"}),
    "several sizes, no attention": (AutoInt, MIXED, MIXED, {"dnn_hidden_units": (8,), "att_layer_num": 0}),
    "several sizes, dssm": (DSSM, MIXED_USER, ITEM, {"dnn_hidden_units": (8,)}),
    "several sizes, dat": (DAT, MIXED_USER, ITEM, {"dnn_hidden_units": (8,)}),
}


@pytest.mark.parametrize("case", CASES)
class TestEveryCase:
    def build(self, case):
        model_class, *columns, arguments = CASES[case]
        return quietly(model_class, *columns, **{"seed": 3, "init_std": 0.1} | arguments)

    def test_trains_and_is_loaded_as_saved(self, case, tmp_path):
        model = self.build(case)
        before = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
        fitted(model)
        assert {name for name, value in model.named_parameters() if not torch.equal(value, before.get(name, value))}
        model.save(tmp_path)
        loaded = load_model(tmp_path)
        assert_same_weights(loaded, model)
        assert np.array_equal(loaded.predict(X), model.predict(X))

    def test_has_no_parameter_that_nothing_reads(self, case):
        model = self.build(case).train()
        model.predict(X)  # features are what this checks
        source = {name: torch.from_numpy(X[name]) for name in model.feature_names}
        features = {name: value.float() if value.is_floating_point() else value for name, value in source.items()}
        output = model.output(features)
        sum(model.losses(features, torch.from_numpy(Y).float(), output).values()).backward()
        unread = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
        assert not unread

    def test_row_by_row_updates(self, case):
        model = self.build(case)
        if not tables_of(model):
            with pytest.raises(InputError, match="has no embeddings"):
                fitted(model, embedding_optimizer="rowwise")
            return
        before = [module.weight.detach().clone() for module in tables_of(model)]
        fitted(model, embedding_optimizer="rowwise")
        assert all(not torch.equal(module.weight, old) for module, old in zip(tables_of(model), before, strict=True))


class TestWhatIsLeft:
    def test_of_the_bias_alone(self):
        model = quietly(DeepFM, [], COLUMNS.all, use_fm=False, dnn_hidden_units=())
        assert [name for name, value in model.named_parameters() if value.numel()] == ["bias"]
        model.bias.data.fill_(0.5)
        assert model.predict(X) == pytest.approx(np.full((64, 1), 1 / (1 + np.exp(-0.5))))

    def test_of_the_fm_is_its_products(self):
        model = DeepFM([], SPARSE, dnn_hidden_units=(), init_std=1.0)
        fields, _ = model.embedding({name: torch.from_numpy(X[name]) for name in model.feature_names})
        expected = [sum((row[f] @ row[g]).item() for f in range(len(row)) for g in range(f)) for row in fields]
        logits = np.log(model.predict(X) / (1 - model.predict(X)))[:, 0]
        assert logits == pytest.approx(expected, abs=1e-3)

    def test_of_wide_and_deep_without_tower_is_the_linear_part(self):
        model = WideDeep(COLUMNS.all, COLUMNS.all, dnn_hidden_units=(), init_std=1.0)
        assert {name.partition(".")[0] for name, value in model.named_parameters() if value.numel()} == {
            "linear",
            "bias",
        }

    @pytest.mark.parametrize("model_class", [WideDeep, DeepFM, DCN, AutoInt, COLD])
    def test_nothing_at_all_is_refused(self, model_class):
        with pytest.raises(InputError, match=f"{model_class.__name__} needs at least one feature column"):
            quietly(model_class, [], [])

    @pytest.mark.parametrize("model_class", [LR, GBDT])
    def test_an_empty_list_is_refused(self, model_class):
        with pytest.raises(InputError, match=f"{model_class.__name__} needs at least one feature column"):
            model_class([])

    def test_lr_of_dense_columns_alone(self):
        model = fitted(LR(DENSE))
        weights = np.concatenate([X[column.name].reshape(64, -1) for column in DENSE], axis=1)
        logits = weights @ model.linear.dense.weight[0].detach().numpy() + model.bias.item()
        assert model.predict(X)[:, 0] == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-6)

    @pytest.mark.parametrize(
        ("model_class", "columns", "message"),
        [
            (AutoInt, DENSE, "AutoInt's interacting layers relate sparse and list columns"),
            (COLD, DENSE, "COLD weighs sparse and list columns"),
            (COLD, [], "COLD without a tower"),
            (DCN, [], "DCN crosses the features of dnn_feature_columns"),
        ],
    )
    def test_too_little_is_refused(self, model_class, columns, message):
        with pytest.raises(InputError, match=message):
            quietly(model_class, COLUMNS.all, columns)


class TestMixedEmbedding:
    def test_equals_one_embedding_a_field_in_the_order_of_the_columns(self):
        torch.manual_seed(0)
        layer = MixedEmbedding(MIXED, init_std=1.0)
        features = {name: torch.from_numpy(array) for name, array in X.items()}
        fields, dense = layer(features)
        expected = []
        for column in [*layer.sparse, *layer.lists]:
            alone = FeatureEmbedding([column])
            alone.weight.data = layer.table(column.embedding_name).detach()
            expected.append(alone(features)[0].flatten(1))
        assert [column.name for column in layer.sparse] == ["user_id", "gender", "movie_id"]
        assert [part.shape[1] for part in expected] == [4, 2, 4, 3, 4]
        torch.testing.assert_close(fields, torch.cat(expected, dim=1))
        assert dense.shape == (64, 3)
        assert layer.output_size == fields.shape[1] + dense.shape[1]
        assert layer.num_fields == 5

    def test_a_table_is_shared_by_name(self):
        shared = SparseFeat("last", 11, 4, embedding_name="movie_id")
        layer = MixedEmbedding([*MIXED, shared])
        assert sum(table.weight.numel() for table in tables_of(layer)) == sum(
            table.weight.numel() for table in tables_of(MixedEmbedding(MIXED))
        )

    @pytest.mark.parametrize("model_class", [DeepFM, AutoInt, COLD])
    def test_models_that_need_one_size_say_so(self, model_class):
        message = (
            f"^{model_class.__name__} computes with fields of one size: .* 2 of gender; 3 of liked; 4 of user_id, "
        )
        with pytest.raises(InputError, match=message):
            model_class(MIXED, MIXED)
