"""`predict` and `evaluate` on a frame of raw values score its rows as their encoded ones."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import torch
from encoding_helpers import ITEMS, LOG, USERS
from helpers import as_lists, random_raw, small_model

from foundation.errors import InputError
from model import load_model
from preprocessing.dataset import Dataset


class TestRawRows:
    """`predict` on a frame of raw values."""

    @pytest.fixture
    def frame(self, data) -> pd.DataFrame:
        """The test rows, raw, with the statistics and histories that they saw."""
        rows = data.test.rows.numpy()
        log = LOG.iloc[rows]
        frame = log.merge(USERS, on="customer", how="left").merge(ITEMS, on="article", how="left")
        batch = data.test.batch(torch.arange(len(rows)), ["user_mean_label", "item_mean_label", "liked_article"])
        known = [None, *data.vocabularies["article"].tolist()]
        liked = [[known[number] for number in row if number] for row in as_lists(batch["liked_article"])]
        statistics = {name: batch[name].tolist() for name in ("user_mean_label", "item_mean_label")}
        return frame.assign(liked_article=liked, **statistics)

    @pytest.mark.parametrize("loaded", [False, True])
    def test_score_as_their_encoded_rows(self, model, run, data, frame, loaded):
        one = load_model(run) if loaded else model
        np.testing.assert_allclose(one.predict(frame), one.predict(data.test), atol=1e-6)
        assert one.evaluate(frame, frame["clicked"].to_numpy())["auc"] == one.evaluate(data.test)["auc"]

    def test_may_lack_what_is_made_from_labels(self, model, data, frame):
        without = frame.drop(columns=["user_mean_label", "item_mean_label", "liked_article"])
        mean = data.encoding.mean_label
        filled = without.assign(user_mean_label=mean, item_mean_label=mean, liked_article=[[]] * len(frame))
        np.testing.assert_array_equal(model.predict(without), model.predict(filled))

    @pytest.mark.parametrize("name", ["customer", "country", "member", "article", "brand", "device", "age", "price"])
    @pytest.mark.parametrize("gap", [None, np.nan, pd.NA])
    def test_may_lack_all_values_of_a_column(self, model, frame, name, gap):
        """As a chunk of a file may, which pandas then reads as floats."""
        some = frame.assign(**{name: frame[name].astype(object).where(frame.index != 3, gap)})
        np.testing.assert_array_equal(
            model.predict(frame.head(1).assign(**{name: gap})),
            model.predict(
                some.iloc[[3]].assign(**{other: frame[other].iloc[:1].tolist() for other in frame if other != name})
            ),
        )

    @pytest.mark.parametrize("kind", [float, object, "Int64", "category", "int64[pyarrow]", Decimal])
    def test_may_have_ids_of_any_type_of_number(self, model, frame, kind):
        ids = frame["article"].map(Decimal).astype(object) if kind is Decimal else frame["article"].astype(kind)
        np.testing.assert_array_equal(model.predict(frame.assign(article=ids)), model.predict(frame))

    def test_in_chunks_score_as_in_one(self, model, frame):
        parts = [model.predict(frame[start : start + 7]) for start in range(0, len(frame), 7)]
        np.testing.assert_allclose(np.concatenate(parts), model.predict(frame), atol=1e-6)

    def test_may_hold_values_that_training_has_not_seen(self, model, frame):
        new = frame.assign(customer="nobody", country="XX", article=5, tags=[["odd"]] * len(frame), age=np.nan)
        assert np.isfinite(model.predict(new)).all()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda f: f.drop(columns="age"), "The model reads age. Received the columns"),
            (lambda f: f.assign(article=f["article"].astype(str)), "'article' holds numbers .* Received texts"),
            (lambda f: f.assign(item_mean_label=4.2), "'item_mean_label' is a mean label and must lie in 0..1"),
            (lambda f: f.assign(age="old"), "age"),
            (lambda f: f.assign(age=10**400), "a whole number beyond all floats"),
            (lambda f: pd.concat([f, f[["age"]] * 2], axis=1), "two columns named age"),
            (lambda f: f.head(0), "no rows"),
        ],
    )
    def test_that_do_not_fit_are_refused(self, model, frame, change, message):
        with pytest.raises(InputError, match=message):
            model.predict(change(frame))

    def test_are_nothing_to_a_model_of_arrays(self, frame):
        dataset = Dataset.build(random_raw(), "holdout", 0)
        with pytest.raises(InputError, match="does not know how they are encoded"):
            small_model("lr", dataset).predict(frame)
