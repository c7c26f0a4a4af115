"""The cases that deepctr-torch tests DCN, DeepFM, WDL and AutoInt with (its tests/model, 20 of them), on these models.

Each model learns from 64 random rows under the callbacks and metrics used there, and goes through both kinds of files.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from foundation.deepctr import DenseFeat, EarlyStopping, ModelCheckpoint, SparseFeat, VarLenSparseFeat
from foundation.errors import InputWarning
from model.autoint import AutoInt
from model.base import CTRModel
from model.dcn import DCN
from model.deepfm import DeepFM
from model.wdm import WideDeep

ROWS = 64


def data(sparse: int, dense: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray, list]:
    """Columns of 1 to 9 values, and lists of 1 to 9 entries pooled in each of three ways, all drawn at random."""
    rng = np.random.default_rng(seed)
    columns, x = [], {}
    for k in range(sparse):
        columns.append(SparseFeat(f"sparse_{k}", int(rng.integers(1, 10)), 4, dtype=torch.int32))
        x[f"sparse_{k}"] = rng.integers(0, columns[-1].vocabulary_size, ROWS)
    for k in range(dense):
        columns.append(DenseFeat(f"dense_{k}", 1, dtype=torch.float32))
        x[f"dense_{k}"] = rng.random(ROWS)
    for combiner in ("sum", "mean", "max"):
        size, longest = (int(number) for number in rng.integers(1, 10, 2))
        columns.append(VarLenSparseFeat(SparseFeat(combiner, size, embedding_dim=4), longest, combiner=combiner))
        x[combiner] = rng.integers(0, size, (ROWS, longest))
    return x, rng.integers(0, 2, ROWS), columns


def check(model: CTRModel, x: dict[str, np.ndarray], y: np.ndarray, folder: Path) -> None:
    stopping = EarlyStopping(monitor="val_acc", min_delta=0, verbose=1, patience=0, mode="max")
    best = folder / "best.ckpt"
    checkpoint = ModelCheckpoint(
        filepath=str(best),
        monitor="val_acc",
        verbose=1,
        save_best_only=True,
        save_weights_only=False,
        mode="max",
        period=1,
    )
    model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy", "acc"])
    history = model.fit(x, y, batch_size=100, epochs=1, validation_split=0.5, callbacks=[stopping, checkpoint]).history
    figures = {"loss", "binary_crossentropy", "acc", "val_binary_crossentropy", "val_acc"}
    assert figures <= history.keys()
    assert all(np.isfinite(history[name]).all() for name in figures)

    learned = model.predict(x)
    assert (learned.shape, learned.dtype) == ((ROWS, 1), np.float64)
    assert (torch.load(best).predict(x) == learned).all()
    torch.save(model.state_dict(), folder / "weights.h5")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    model.load_state_dict(torch.load(folder / "weights.h5"))
    assert (model.predict(x) == learned).all()
    torch.save(model, folder / "model.h5")
    model = torch.load(folder / "model.h5")
    assert (model.predict(x) == learned).all()
    assert list(model.evaluate(x, y)) == ["binary_crossentropy", "acc"]


@pytest.fixture(autouse=True)
def dropout_may_have_no_tower():
    """These cases set a dropout where there is no tower, which is a warning here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dnn_dropout", InputWarning)
        yield


@pytest.mark.parametrize("model_class", [DCN, DeepFM, WideDeep, AutoInt], ids=lambda part: part.__name__)
def test_names_are_deepctr_torch_s_for_the_columns(model_class):
    x, _, columns = data(2, 2, seed=0)
    model = model_class(linear_feature_columns=columns, dnn_feature_columns=columns, dnn_hidden_units=(4,))
    assert model.predict(x).shape == (ROWS, 1)


@pytest.mark.parametrize(("cross_num", "form"), [(2, "vector"), (1, "matrix")])
def test_dcn(cross_num, form, tmp_path):
    x, y, columns = data(2, 2, seed=1)
    model = DCN(
        linear_feature_columns=columns,
        dnn_feature_columns=columns,
        cross_num=cross_num,
        cross_parameterization=form,
        dnn_hidden_units=(32,),
        dnn_dropout=0.5,
        device="cpu",
    )
    check(model, x, y, tmp_path)


@pytest.mark.parametrize("linear", [True, False], ids=["linear part", "no linear part"])
@pytest.mark.parametrize(
    ("use_fm", "hidden", "sparse", "dense"),
    [
        (True, (32,), 3, 3),
        (False, (32,), 3, 3),
        (False, (32,), 2, 2),
        (False, (32,), 1, 1),
        (True, (), 1, 1),
        (False, (), 2, 2),
        (True, (32,), 0, 3),
        (True, (32,), 3, 0),
        (False, (32,), 0, 3),
        (False, (32,), 3, 0),
    ],
)
def test_deep_fm(use_fm, hidden, sparse, dense, linear, tmp_path):
    x, y, columns = data(sparse, dense, seed=2)
    model = DeepFM(
        columns if linear else [], columns, use_fm=use_fm, dnn_hidden_units=hidden, dnn_dropout=0.5, device="cpu"
    )
    check(model, x, y, tmp_path)


@pytest.mark.parametrize(("sparse", "dense"), [(2, 0), (0, 2), (2, 2)])
def test_wide_and_deep(sparse, dense, tmp_path):
    x, y, columns = data(sparse, dense, seed=3)
    model = WideDeep(columns, columns, dnn_activation="prelu", dnn_hidden_units=[32, 32], dnn_dropout=0.5, device="cpu")
    check(model, x, y, tmp_path)


@pytest.mark.parametrize(
    ("layers", "hidden", "features"), [(1, (4,), 2), (0, (4,), 2), (2, (4, 4), 2), (1, (), 1), (1, (4,), 1)]
)
def test_auto_int(layers, hidden, features, tmp_path):
    x, y, columns = data(features, features, seed=4)
    model = AutoInt(
        linear_feature_columns=columns,
        dnn_feature_columns=columns,
        att_layer_num=layers,
        dnn_hidden_units=hidden,
        dnn_dropout=0.5,
        device="cpu",
    )
    check(model, x, y, tmp_path)
