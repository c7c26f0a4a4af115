"""Activations of towers: by name and by class, alone and in every model, in training, in files and in serving."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from deepctr_torch.layers.activation import Dice as DeepctrDice
from helpers import randn
from torch import nn
from zoo import COLUMNS, NAMES, arrays, build, columns_of, fitted

from foundation.errors import InputError
from model import MODELS, load_model
from model.layers.activation import Dice, make_activation
from model.layers.tower import Tower

NAMED = {
    "relu": lambda x: max(x, 0.0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "linear": lambda x: x,
    "prelu": lambda x: x if x > 0 else 0.25 * x,  # its slope at the start
    "torch.nn.Tanh": math.tanh,
    nn.Softplus: lambda x: math.log1p(math.exp(x)),
}
TOWERS = [name for name in NAMES if "dnn_activation" in MODELS[name].arguments]


class Doubled(nn.Module):
    """A class that torch does not have."""

    def forward(self, x):
        return 2 * x


class Halves(nn.Module):
    """Does not keep the shape."""

    def forward(self, x):
        return x[:, ::2]


@pytest.mark.parametrize("kind", NAMED, ids=lambda kind: kind if isinstance(kind, str) else kind.__name__)
def test_equals_the_formula(kind):
    x = randn(3, 4)
    expected = [[NAMED[kind](value) for value in row] for row in x.tolist()]
    assert make_activation(kind, 4)(x).tolist() == [pytest.approx(row, abs=1e-6) for row in expected]


def test_names_are_read_in_any_case():
    assert isinstance(make_activation("PReLU", 3), nn.PReLU)
    assert isinstance(make_activation("Dice", 3), Dice)


@pytest.mark.parametrize("training", [True, False])
def test_dice_equals_deepctr_torchs(training):
    ours, theirs = Dice(4).train(training), DeepctrDice(4, dim=2).train(training)
    theirs.alpha.data = ours.alpha.data = randn(4, seed=1)
    for part in (ours.standardised, theirs.bn):
        part.running_mean.copy_(randn(4, seed=2))
        part.running_var.copy_(randn(4, seed=3).exp())
    torch.testing.assert_close(ours(randn(6, 4)), theirs(randn(6, 4)))


def test_dice_bends_where_its_inputs_are():
    dice = Dice(1)
    dice.alpha.data.fill_(0.5)
    x = torch.tensor([[9.0], [11.0]])  # mean 10, standard deviation 1
    p = [1 / (1 + math.exp(-value)) for value in (-1.0, 1.0)]
    expected = [(p[0] + (1 - p[0]) * 0.5) * 9, (p[1] + (1 - p[1]) * 0.5) * 11]
    assert dice(x).flatten().tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    "kind",
    [
        "gelu",
        "torch.nn.Nothing",
        "torch.nn.functional",
        "torch.nn.Module",
        nn.Linear,
        nn.ReLU(),
        torch.relu,
        None,
        Halves,
    ],
    ids=["name", "no class", "no class either", "no function", "needs sizes", "object", "function", "none", "shape"],
)
def test_others_are_refused(kind):
    with pytest.raises(InputError, match="dnn_activation"):
        Tower(4, (3,), activation=kind)


@pytest.mark.parametrize("kind", ["prelu", "dice", nn.GELU], ids=["prelu", "dice", "GELU"])
@pytest.mark.parametrize("name", TOWERS)
def test_every_model_trains_saves_and_loads_with_it(name, kind, data, tmp_path):
    model = fitted(name, data, epochs=1, dnn_activation=kind)
    plain = fitted(name, data, epochs=1)
    assert not np.array_equal(model.predict(data.test), plain.predict(data.test))
    model.save(tmp_path)
    loaded = load_model(tmp_path)
    assert np.array_equal(loaded.predict(data.test), model.predict(data.test))
    assert loaded.settings["dnn_activation"] == ("torch.nn.GELU" if kind is nn.GELU else kind)


def test_a_class_of_ones_own_trains_and_cannot_be_saved(data, tmp_path):
    model = fitted("dssm", data, dnn_activation=Doubled)
    linear = fitted("dssm", data, dnn_activation="linear")
    assert not np.array_equal(model.predict(data.test), linear.predict(data.test))
    with pytest.raises(
        InputError, match="A model built with the class Doubled cannot be saved, and nothing was written"
    ):
        model.save(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_dice_trains_otherwise_than_it_evaluates():
    """By the statistics of the batch: the published loop's defect has an effect on it, and on no steady activation."""
    x, y = arrays()
    options = {"epochs": 2, "verbose": 0, "published_eval_mode": True, "validation_data": (x, y)}
    for kind in ("dice", "prelu"):
        model = build("deep_fm", COLUMNS, dnn_activation=kind)
        model.compile()
        if kind == "dice":
            model.fit(x, y, **options)
        else:
            with pytest.raises(InputError, match="published_eval_mode=True has no effect on DeepFM"):
                model.fit(x, y, **options)


@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_slopes_have_the_towers_l2(data, l2):
    model = build("wide_and_deep", columns_of(data), dnn_activation="prelu", l2_reg_dnn=l2)
    slopes = [name for name, value in model.named_parameters() if value.shape == (1,)]
    assert len(slopes) == 2
    assert {model.l2_of(name) for name in slopes} == {l2}
