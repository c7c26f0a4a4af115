"""The published computations that speed is compared with, beside plain numpy, one row at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.published_hit import ALPHA, PublishedHIT
from benchmarks.published_int_tower import PublishedIntTower
from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import FeatureColumns

DIM, HEADS, FIELD_DIM, ROWS = 4, 2, 3, 7
GENRES = VarLenSparseFeat(SparseFeat("genres", 6, embedding_dim=DIM), maxlen=3, combiner="mean")
HISTORY = VarLenSparseFeat(SparseFeat("history", 9, embedding_dim=DIM), maxlen=4, combiner="mean")
USER = [SparseFeat("user_id", 12, DIM), SparseFeat("gender", 2, DIM), DenseFeat("user_mean", 1)]
ITEM = [SparseFeat("movie_id", 9, DIM), GENRES, DenseFeat("item_mean", 1)]
COLUMNS = FeatureColumns(USER, ITEM, user_static=("gender",), item_static=("movie_id",))
WITH_HISTORY = replace(COLUMNS, user=[*USER, HISTORY])


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    """Ids and numbers; lists are padded with 0 behind."""
    rng = np.random.default_rng(0)
    lists = {"genres": rng.integers(1, 6, (ROWS, 3)), "history": rng.integers(1, 9, (ROWS, 4))}
    for ids in lists.values():
        ids[np.arange(ids.shape[1]) >= rng.integers(1, ids.shape[1] + 1, (ROWS, 1))] = 0
    sizes = {"user_id": 12, "gender": 2, "movie_id": 9}
    return {
        **lists,
        **{name: rng.integers(0, size, ROWS) for name, size in sizes.items()},
        "user_mean": rng.random(ROWS),
        "item_mean": rng.random(ROWS),
    }


def with_random_weights(model: nn.Module) -> nn.Module:
    """Also of biases and of batch norm, as after training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                inputs = tensor.shape[1] if tensor.ndim == 2 else 4
                tensor.copy_(torch.randn(tensor.shape, generator=generator) * (2 / inputs) ** 0.5)
                if name.endswith("running_var"):
                    tensor.abs_().add_(0.5)
    return model.double().eval()


def matrix(model, rows: dict[str, np.ndarray]) -> torch.Tensor:
    """(B, numbers) as the model's `fit` makes it."""
    parts = [rows[name].reshape(ROWS, -1) for name in model.feature_index]
    return torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float64))


def logits(model, rows: dict[str, np.ndarray]) -> np.ndarray:
    return torch.logit(model(matrix(model, rows))).flatten().detach().numpy()


class Plain:
    """The weights of a model by name, and what is computed with them for one row."""

    def __init__(self, model: nn.Module):
        self.weights = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return self.weights[f"{name}.weight"] @ x + self.weights[f"{name}.bias"]

    def layer(self, name: str, place: int, x: np.ndarray) -> np.ndarray:
        """Linear, batch norm, ReLU."""
        norm = f"{name}.bn.{place}"
        mean, var = self.weights[f"{norm}.running_mean"], self.weights[f"{norm}.running_var"]
        x = (self.linear(f"{name}.linears.{place}", x) - mean) / np.sqrt(var + 1e-5)
        return np.maximum(x * self.weights[f"{norm}.weight"] + self.weights[f"{norm}.bias"], 0)

    def tower(self, name: str, x: np.ndarray) -> np.ndarray:
        for place in range(3):
            x = self.layer(name, place, x)
        return x

    def fields(self, columns: list, rows: dict[str, np.ndarray], row: int) -> list[np.ndarray]:
        """Embeddings of single values, then means of those of lists."""
        single = [c for c in columns if isinstance(c, SparseFeat)]
        lists = [c for c in columns if isinstance(c, VarLenSparseFeat)]
        table = {c.name: self.weights[f"embedding_dict.{c.name}.weight"] for c in single + lists}
        means = [table[c.name][[i for i in rows[c.name][row] if i]].mean(axis=0) for c in lists]
        return [table[c.name][rows[c.name][row]] for c in single] + means

    def light_se(self, side: int, fields: list[np.ndarray]) -> np.ndarray:
        """E + softmax(W mean(E)) E, without a bias."""
        z = self.weights[f"light_se.{side}.excitation.0.weight"] @ np.array([field.mean() for field in fields])
        a = np.exp(z) / np.exp(z).sum()
        return np.concatenate([field * (1 + weight) for field, weight in zip(fields, a, strict=True)])

    def logit(self, levels: list[np.ndarray], item: np.ndarray) -> float:
        """The sum over levels and user heads of the largest product with an item head; nothing is divided."""
        score = self.weights["out.bias"].item()
        for level in levels:
            for head in np.split(level, HEADS):
                score += max(head @ other for other in np.split(item, HEADS))
        return score


def test_int_tower_projects_each_user_layers_input_and_the_items_last_output_alone(rows):
    model = with_random_weights(PublishedIntTower(USER, ITEM, HEADS, FIELD_DIM, dropout=0.3))
    plain, expected = Plain(model), []
    for row in range(ROWS):
        user = plain.light_se(0, plain.fields(USER, rows, row))
        hidden = np.append(user, rows["user_mean"][row])
        levels = []
        for place in range(3):
            levels.append(plain.linear(f"user_levels.projections.{place}", hidden))
            hidden = plain.layer(f"user_levels.layers.{place}", 0, hidden)
        item = np.append(plain.light_se(1, plain.fields(ITEM, rows, row)), rows["item_mean"][row])
        expected.append(plain.logit(levels, plain.linear("item_projection", plain.tower("item_tower", item))))
    assert np.allclose(logits(model, rows), expected, atol=1e-6)
    assert np.ptp(expected) > 0.1


def hit_by_hand(plain: Plain, rows: dict[str, np.ndarray], row: int) -> list[tuple[np.ndarray, dict]]:
    """For each side: the representer's output, and the mimics by kind."""
    result = []
    for side, (columns, static) in enumerate(((WITH_HISTORY.user, "gender"), (ITEM, "movie_id"))):
        given = plain.weights[f"embedding_dict.{static}.weight"][rows[static][row]]
        mimics = {}
        for kind in ("target", "non_target"):
            name = f"sides.{side}.generators.{kind}.linears"
            mimics[kind] = np.maximum(plain.linear(f"{name}.1", np.maximum(plain.linear(f"{name}.0", given), 0)), 0)
        number = rows["user_mean" if side == 0 else "item_mean"][row]
        fields = plain.fields(columns, rows, row)
        hidden = plain.tower(f"sides.{side}.tower", np.concatenate([*fields, *mimics.values(), [number]]))
        result.append((plain.linear(f"sides.{side}.representer", hidden), mimics))
    return result


def test_hit_reads_mimics_behind_two_relus_and_the_history_but_no_light_se(rows):
    model = with_random_weights(PublishedHIT(WITH_HISTORY, HEADS, FIELD_DIM, dropout=0.3))
    plain = Plain(model)
    sides = [hit_by_hand(plain, rows, row) for row in range(ROWS)]
    expected = [plain.logit([user], item) for (user, _), (item, _) in sides]
    assert np.allclose(logits(model, rows), expected, atol=1e-6)
    assert np.ptp(expected) > 0.1
    assert not any("light_se" in name for name in plain.weights)


def test_hits_generation_loss_is_a_mean_over_all_rows_of_weighted_cosines(rows):
    model = with_random_weights(PublishedHIT(WITH_HISTORY, HEADS, FIELD_DIM, dropout=0.0))
    plain, labels = Plain(model), np.array([1.0, 0, 0, 1, 1, 0, 1])
    probabilities = model(matrix(model, rows)).flatten()

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)

    clicks, generation = 0.0, 0.0
    for row, label in enumerate(labels):
        (user, user_mimics), (item, item_mimics) = hit_by_hand(plain, rows, row)
        for mimics, original in ((user_mimics, item), (item_mimics, user)):
            kind = "target" if label else "non_target"
            generation += cosine(mimics[kind], original) / ROWS
        clicks += np.log1p(np.exp(plain.logit([user], item) * (-1 if label else 1)))
    loss = model.loss(probabilities, torch.from_numpy(labels), reduction="sum")
    assert loss.item() == pytest.approx(clicks + ALPHA * generation, abs=1e-5)


def test_mimics_reach_the_towers_stopped_and_are_trained_by_the_generation_loss_alone(rows):
    model = with_random_weights(PublishedHIT(WITH_HISTORY, HEADS, FIELD_DIM, dropout=0.0))
    model(matrix(model, rows)).sum().backward()
    reached = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert reached == {name for name, _ in model.named_parameters() if ".generators." not in name}
