"""A shop's users, articles and clicks as frames, and models that were trained on them."""

from __future__ import annotations

import pandas as pd

from model import build_model
from preprocessing.dataset import Dataset

NAMES = {"user_id": "customer", "item_id": "article", "label": "clicked", "timestamp": "when"}
USERS = pd.DataFrame(
    {
        "customer": [f"c{k}" for k in range(20)],
        "country": ["DE", "FR", "PL", None] * 5,
        "member": [k % 3 == 0 for k in range(20)],
        "age": [None if k == 7 else 20.0 + k for k in range(20)],
    }
)
ITEMS = pd.DataFrame(
    {
        "article": range(1000, 1015),
        "brand": [f"brand {k % 4}" for k in range(15)],
        "price": [None if k % 6 == 0 else 5.0 + k for k in range(15)],
        "tags": [["sale", "new"][: k % 3] for k in range(15)],
    }
)
LOG = pd.DataFrame(
    {
        "customer": [f"c{k * 7 % 20}" for k in range(400)],
        "article": [1000 + k * 11 % 15 for k in range(400)],
        "when": range(400),
        "device": ["phone" if k % 3 else "desktop" for k in range(400)],
        "clicked": [int((k * 7 % 20 + k * 11 % 15) % 3 == 0) for k in range(400)],
    }
)


def from_frames(users=USERS, items=ITEMS, log=LOG, **options) -> Dataset:
    return Dataset.from_frames(users, items, log, **(NAMES | options))


def trained(data: Dataset, name: str = "hit"):
    model = build_model(name, data.feature_columns(4, history=True), seed=0, dnn_hidden_units=(8, 4), init_std=0.1)
    model.compile("adam", lr=0.01)
    model.fit(data.train, validation_data=data.validation, batch_size=64, verbose=0)
    return model
