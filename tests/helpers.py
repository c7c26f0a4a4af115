"""Small data made by hand, and slow versions of what the project computes fast."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from hypothesis import assume
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from foundation.errors import InputError
from foundation.features import Bags
from model import build_model
from preprocessing.dataset import Dataset
from preprocessing.protocol import make_protocol
from preprocessing.raw import Ragged, RawData, Schema

SCHEMA = Schema(
    user_id="user_id",
    item_id="movie_id",
    user_sparse=("user_id", "gender"),
    item_sparse=("movie_id",),
    user_dense=("income",),
    item_dense=("price",),
    item_lists=("genres",),
    user_statistic="user_mean_rating",
    item_statistic="item_mean_rating",
    history="liked_movies",
    user_static=("gender",),
    item_static=("movie_id",),
)
GENRES = ("Drama", "Comedy", "War", "Western")


def make_raw(rows: list[tuple[int, int, int, int]], users: int = 0, items: int = 0) -> RawData:
    """rows: (user, item, label, timestamp). Entities have values that are no row numbers, and up to 3 genres."""
    user, item, label, timestamp = (np.array(column) for column in zip(*rows, strict=True))
    users, items = max(users, user.max() + 1), max(items, item.max() + 1)
    return RawData(
        name="by-hand",
        fingerprint="0" * 64,
        schema=SCHEMA,
        users=pd.DataFrame(
            {
                "user_id": 100 + 7 * np.arange(users),
                "gender": [("F", "M", "M")[user % 3] for user in range(users)],
                "income": 1000.0 + 10.0 * (np.arange(users) * 5 % 11),
            }
        ),
        items=pd.DataFrame(
            {"movie_id": 5000 - 3 * np.arange(items), "price": 2.5 + (np.arange(items) * 7 % 13).astype(np.float64)}
        ),
        item_lists={"genres": Ragged.from_lists([list(GENRES[: item % 4]) for item in range(items)])},
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        label=label.astype(np.float32),
        timestamp=timestamp.astype(np.int64),
    )


def random_raw(seed: int = 0, rows: int = 300, users: int = 12, items: int = 15, times: int = 40) -> RawData:
    """Labels that users and items explain in part; every timestamp is shared by several rows."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, users, rows), rng.integers(0, items, rows)
    taste = rng.normal(size=users)[user] * rng.normal(size=items)[item] + rng.normal(size=users)[user]
    label = (taste + rng.normal(size=rows) > 0).astype(int)
    return make_raw(list(zip(user, item, label, rng.integers(0, times, rows), strict=True)), users, items)


@st.composite
def raws(draw, rows: int = 40, users: int = 5, items: int = 6, times: int = 8) -> RawData:
    """Any interactions of a few users and items, at a few points of time."""
    size = draw(st.integers(20, rows))
    row = st.tuples(st.integers(0, users - 1), st.integers(0, items - 1), st.integers(0, 1), st.integers(0, times - 1))
    return make_raw(draw(st.lists(row, min_size=size, max_size=size)), users, items)


def with_labels(raw: RawData, label: np.ndarray) -> RawData:
    return RawData(**{**vars(raw), "label": label.astype(np.float32)})


def flip(raw: RawData, row: int) -> RawData:
    label = raw.label.copy()
    label[row] = 1 - label[row]
    return with_labels(raw, label)


def permute_labels(raw: RawData, rows: np.ndarray, seed: int) -> RawData:
    label = raw.label.copy()
    label[rows] = np.random.default_rng(seed).permutation(label[rows])
    return with_labels(raw, label)


def assert_blind_to_test_labels(raw: RawData, protocol: str) -> None:
    """Permuted labels of test rows change no feature of any row, and no encoding."""
    data = Dataset.build(raw, protocol, 0)
    permuted = permute_labels(raw, data.protocol.splits["test"], seed=1)
    assert (permuted.label != raw.label).any()
    other = Dataset.build(permuted, protocol, 0)
    names = [column.name for column in data.feature_columns(history=True).all]
    before, after = (each.batch(torch.arange(len(raw)), names) for each in (data, other))
    assert {name: as_lists(before[name]) for name in names} == {name: as_lists(after[name]) for name in names}
    assert data.encoding_json() == other.encoding_json()


def protocol_or_skip(name: str, raw: RawData, seed: int = 0, **switches):
    """For generated data: gives the example up where a split has one class only."""
    try:
        return make_protocol(name, raw, seed, **switches)
    except InputError as error:
        assume(not any(reason in str(error) for reason in ("one class only", "needs times")))
        raise


def build_or_skip(raw: RawData, protocol: str, seed: int = 0, **switches) -> Dataset:
    protocol_or_skip(protocol, raw, seed, **switches)
    return Dataset.build(raw, protocol, seed, **switches)


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    """Normal numbers that are the same each time."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def as_bags(lists: list[list[int]]) -> Bags:
    offsets = np.cumsum([0, *map(len, lists)])
    flat = [value for entry in lists for value in entry]
    return Bags(torch.tensor(flat, dtype=torch.int32), torch.tensor(offsets, dtype=torch.int32))


def as_padded(lists: list[list[int]], width: int = 1) -> torch.Tensor:
    """(lists, length of the longest, at least `width`), filled up with 0."""
    width = max(width, *map(len, lists))
    return torch.tensor([entry + [0] * (width - len(entry)) for entry in lists])


def as_lists(values) -> list:
    """A tensor as a list, bags as a list of lists."""
    if isinstance(values, Bags):
        flat = values.values.tolist()
        return [flat[start:end] for start, end in pairwise(values.offsets.tolist())]
    return values.tolist()


FEATURES = (
    "user_id",
    "gender",
    "income",
    "user_mean_rating",
    "liked_movies",
    "movie_id",
    "price",
    "item_mean_rating",
    "genres",
)


def every_feature(dataset: Dataset) -> dict[int, dict[str, object]]:
    """Row number -> name -> value, over all splits, together with what each row's own split is."""
    result: dict[int, dict[str, object]] = {}
    for name in dataset.protocol.splits:
        split = dataset.split(name)
        batch = split.batch(torch.arange(len(split)), list(FEATURES))
        columns = {feature: as_lists(values) for feature, values in batch.items()}
        for place, row in enumerate(split.rows.tolist()):
            result[row] = {"split": name} | {feature: values[place] for feature, values in columns.items()}
    return result


# Small enough to train in a fraction of a second. gamma is "learned" so that DSSM has a parameter outside its towers.
SMALL = {
    "int_tower": {
        "dnn_hidden_units": (12, 10, 8),
        "user_head": 2,
        "item_head": 3,
        "field_dim": 4,
        "dnn_dropout": 0.2,
        "cir_weight": 0.05,
    },
    "dssm": {"dnn_hidden_units": (12, 8), "dnn_dropout": 0.2, "gamma": "learned"},
    "lr": {},
}


def small_model(name: str, dataset: Dataset, *, lr: float = 0.01, embedding_dim: int = 4, **arguments):
    """A compiled model on all features of `dataset`, the history included."""
    columns = dataset.feature_columns(embedding_dim, history=True)
    model = build_model(name, columns, **({"seed": 3, "init_std": 0.1} | SMALL[name] | arguments))
    model.compile("adam", lr=lr)
    return model


def fit(model, dataset: Dataset, epochs: int = 2, **options):
    """Trains on small batches, quietly, with validation."""
    options = {"batch_size": 64, "validation_data": dataset.validation, "verbose": 0} | options
    return model.fit(dataset.train, epochs=epochs, **options)


def plain_arrays(split, names: list[str]) -> dict[str, np.ndarray]:
    """A split as the dict of arrays that deepctr-torch takes: lists padded with 0."""
    arrays = {}
    for name, values in split.batch(torch.arange(len(split)), names).items():
        if isinstance(values, Bags):
            arrays[name] = as_padded(as_lists(values)).numpy()
        else:
            arrays[name] = values.numpy()
    return arrays


def without_times(history: list[dict]) -> list[dict]:
    return [{k: v for k, v in logs.items() if k not in ("seconds", "rows_per_second")} for logs in history]


def assert_same_weights(left, right) -> None:
    """Equal to the bit."""
    left, right = left.state_dict(), right.state_dict()
    assert left.keys() == right.keys()
    different = [name for name in left if not torch.equal(left[name], right[name])]
    assert not different, f"these differ: {different}"


def _cosine(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return (u @ v) / (u.norm() * v.norm())


def slow_cir(users, items, labels, user_ids, item_ids, temperature):
    """`model.losses.cir_loss` in two loops over the batch, as the equation stands."""
    rows = range(len(labels))
    liked = {(int(user_ids[c]), int(item_ids[c])) for c in rows if labels[c] == 1}
    terms = []
    for b in rows:
        if labels[b] != 1:
            continue
        candidates = [c for c in rows if c == b or (int(user_ids[b]), int(item_ids[c])) not in liked]
        similarity = torch.stack([_cosine(users[b], items[c]) / temperature for c in candidates])
        terms.append(similarity.logsumexp(0) - _cosine(users[b], items[b]) / temperature)
    return torch.stack(terms).mean() if terms else users.sum() * 0.0


def slow_gauc(labels, scores, users) -> float:
    """scikit-learn's AUC, one user at a time."""
    total, weight = 0.0, 0
    for user in set(users.tolist()):
        own = users == user
        if 0 < labels[own].sum() < own.sum():
            total += own.sum() * roc_auc_score(labels[own], scores[own])
            weight += own.sum()
    return total / weight if weight else float("nan")
