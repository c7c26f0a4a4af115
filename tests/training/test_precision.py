"""bfloat16: where it is refused, and what stays float32."""

from __future__ import annotations

import pytest
import torch
from helpers import random_raw, small_model

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.utils import fe_score
from training.precision import autocast, require_precision

WIDE = {"dnn_hidden_units": (40, 36), "dnn_dropout": 0.0}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def fit(model, dataset, precision: str):
    return model.fit(
        dataset.train, batch_size=64, epochs=2, precision=precision, validation_data=dataset.validation, verbose=0
    )


class TestRefusal:
    """bfloat16 is refused, with the reason, where it would be slower than float32."""

    def processor(self, monkeypatch, **capabilities):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, **capabilities})

    def test_on_a_processor_without_bf16_arithmetic(self, dataset, monkeypatch):
        self.processor(monkeypatch, avx512_bf16=False, amx_bf16=False)
        with pytest.raises(InputError, match=r"neither AVX512-BF16 nor AMX.*Use float32, or bfloat16_forced"):
            fit(small_model("dssm", dataset, **WIDE), dataset, "bfloat16")

    @pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16"])
    def test_not_on_one_with_it(self, capability, dataset, monkeypatch):
        self.processor(monkeypatch, **{capability: True})
        require_precision(small_model("dssm", dataset, **WIDE), "bfloat16")

    @pytest.mark.parametrize(("name", "arguments"), [("lr", {}), ("dssm", {"dnn_hidden_units": (40, 8)})])
    def test_for_a_model_without_large_matrix_products(self, name, arguments, dataset, monkeypatch):
        self.processor(monkeypatch, avx512_bf16=True)
        with pytest.raises(InputError, match="has no matrix product that is large enough"):
            require_precision(small_model(name, dataset, embedding_dim=4, **arguments), "bfloat16")

    def test_forced(self, dataset, monkeypatch):
        self.processor(monkeypatch)
        history = fit(small_model("lr", dataset), dataset, "bfloat16_forced").history
        assert len(history["loss"]) == 2

    def test_on_a_gpu_without_bf16_arithmetic(self, dataset, monkeypatch):
        model = small_model("dssm", dataset, **WIDE)
        model.device = torch.device("cuda")
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")
        with pytest.raises(InputError, match="Old GPU has no bfloat16 arithmetic"):
            require_precision(model, "bfloat16")


class TestWhatStaysFloat32:
    @pytest.mark.parametrize("name", ["int_tower", "dssm"])
    def test_weights_losses_and_metrics(self, name, dataset):
        models = [small_model(name, dataset, dnn_dropout=0.0) for _ in range(2)]
        histories = [
            fit(model, dataset, precision).history
            for model, precision in zip(models, ("float32", "bfloat16_forced"), strict=True)
        ]
        assert {parameter.dtype for parameter in models[1].parameters()} == {torch.float32}
        assert histories[0]["loss"] != histories[1]["loss"]
        assert histories[1]["loss"] == pytest.approx(histories[0]["loss"], rel=0.02)

    def test_the_sum_of_max_sim(self):
        """100 maxima of 1.0 and one of 2^-6 lie between two numbers that bfloat16 can hold."""
        users = torch.ones(1, 101, 1)
        users[0, 0] = 2.0**-6
        score = fe_score([users.flatten(1).bfloat16()], [torch.ones(1, 1).bfloat16()], 101, 1, [1], [1])
        assert score.dtype == torch.float32
        assert score.item() == 100 + 2.0**-6

    def test_double_precision_is_kept(self):
        users, items = torch.rand(3, 4, dtype=torch.float64), torch.rand(3, 4, dtype=torch.float64)
        assert fe_score([users], [items], 2, 2, [2], [2]).dtype == torch.float64

    def test_the_click_loss(self, dataset):
        model = small_model("int_tower", dataset)
        rows = torch.arange(20)
        with autocast(model, "bfloat16"):
            features = dataset.train.batch(rows, model.feature_names)
            output = model.output(features)
        losses = model.losses(features, dataset.train.labels[rows], output)
        assert {loss.dtype for loss in losses.values()} == {torch.float32}
