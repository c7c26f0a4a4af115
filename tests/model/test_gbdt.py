"""Trees behind the models' interface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import plain_arrays
from sklearn.ensemble import HistGradientBoostingClassifier
from zoo import COLUMNS, arrays, build, columns_of

from foundation.deepctr import EarlyStopping, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.features import Bags
from model import load_model
from model.gbdt import GBDT
from model.layers.forest import Forest


def grow(trees: int = 7, rows: int = 500, seed: int = 0) -> tuple[HistGradientBoostingClassifier, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.integers(0, 1000, rows), rng.random((rows, 3))])
    y = (x[:, 0] % 7 / 7 + x[:, 1] * x[:, 2] > rng.random(rows)).astype(int)
    return HistGradientBoostingClassifier(max_iter=trees, early_stopping=False).fit(x, y), x


class TestForest:
    @pytest.mark.parametrize("trees", [1, 7])
    def test_equals_scikit_learn(self, trees):
        grower, x = grow(trees)
        thresholds = np.repeat(x[:1], 50, axis=0)  # rows that lie on a threshold go left in both
        thresholds[:, 1] = [node["num_threshold"] for (t,) in grower._predictors for node in t.nodes][:1] * 50
        for rows in (x, np.random.default_rng(1).normal(size=(300, 4)) * 1000, thresholds):
            ours = Forest.from_sklearn(grower)(torch.from_numpy(rows)).numpy()
            assert ours == pytest.approx(grower.decision_function(rows), abs=1e-12)

    def test_logits_after_each_tree(self):
        grower, x = grow()
        forest = Forest.from_sklearn(grower)
        staged = list(forest.per_tree(torch.from_numpy(x)))
        assert len(staged) == forest.num_trees == 7
        for ours, theirs in zip(staged, grower.staged_decision_function(x), strict=True):
            assert ours.numpy() == pytest.approx(theirs, abs=1e-12)

    def test_first_trees_are_a_forest(self):
        grower, x = grow()
        forest, part = Forest.from_sklearn(grower), Forest()
        part.load(forest.first(3))
        assert part.num_trees == 3
        assert torch.allclose(part(torch.from_numpy(x)), list(forest.per_tree(torch.from_numpy(x)))[2])

    def test_empty_forest_says_one_half(self):
        assert Forest()(torch.zeros(2, 3, dtype=torch.float64)).tolist() == [0.0, 0.0]


class TestTraining:
    def test_one_epoch_is_one_tree(self, data):
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.1)
        history = model.fit(data.train, epochs=5, verbose=0).history
        assert model.forest.num_trees == len(history["loss"]) == 5
        assert history["logloss"] == sorted(history["logloss"], reverse=True)

    def test_keeps_the_trees_of_the_best_validation_auc(self, data):
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.1)
        history = model.fit(data.train, validation_data=data.validation, epochs=40, patience=5, verbose=0).history
        best = int(np.argmax(history["val_auc"]))
        assert len(history["val_auc"]) == best + 1 + 5
        assert model.forest.num_trees == best + 1
        assert model.evaluate(data.validation)["auc"] == pytest.approx(history["val_auc"][best])

    def test_without_patience_all_trees_grow(self, data):
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.5)
        history = model.fit(data.train, validation_data=data.validation, epochs=12, verbose=0).history
        assert len(history["val_auc"]) == 12

    def test_growing_ends_on_validation_logloss_while_auc_still_rises(self, data):
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.5)  # too large: of the first five trees none has a lower logloss than no tree
        history = model.fit(data.train, validation_data=data.validation, epochs=40, patience=5, verbose=0).history
        assert len(history["val_auc"]) == 5
        assert int(np.argmax(history["val_auc"])) == 4

    def test_evaluation_is_on_probabilities(self, data):
        """The published code rounded them first."""
        model = build("gbdt", columns_of(data))
        model.compile()
        model.fit(data.train, epochs=5, verbose=0)
        assert len(np.unique(model.predict(data.test))) > 10

    def test_learning_rate_shrinks_the_trees(self, data):
        spread = []
        for lr in (0.01, 0.3):
            model = build("gbdt", columns_of(data))
            model.compile(lr=lr)
            model.fit(data.train, epochs=3, verbose=0)
            spread.append(np.ptp(model.predict(data.test)))
        assert spread[0] < spread[1]

    def test_callbacks_stop_it(self, data):
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.5)
        stopping = EarlyStopping("val_auc", patience=2)
        model.fit(data.train, validation_data=data.validation, epochs=60, verbose=0, callbacks=[stopping])
        assert len(model.history.history["loss"]) < 60

    def test_finished_run_is_not_grown_again(self, data):
        states = []
        model = build("gbdt", columns_of(data))
        model.compile(lr=0.1)
        model.fit(data.train, epochs=4, verbose=0, on_epoch=states.append)
        (state,) = states
        assert state.epoch == 4
        other = build("gbdt", columns_of(data))
        other.compile(lr=0.1)
        other.fit(data.train, epochs=4, verbose=0, state=state)
        assert np.array_equal(other.predict(data.test), model.predict(data.test))

    @pytest.mark.parametrize(
        "option",
        [
            {"precision": "bf16_forced"},
            {"published_eval_mode": True},
            {"lr_schedule": "linear"},
            {"checkpoint_minutes": 1.0, "on_epoch": print},
            {"shuffle": False},
            {"initial_epoch": 1, "epochs": 3},
        ],
    )
    def test_options_without_effect_are_errors(self, data, option):
        model = build("gbdt", columns_of(data))
        model.compile()
        with pytest.raises(InputError, match="no effect on GBDT"):
            model.fit(data.train, verbose=0, **option)

    def test_arguments_shape_the_trees(self, data):
        def grown(**arguments) -> GBDT:
            model = build("gbdt", columns_of(data), **arguments)
            model.compile(lr=0.1)
            model.fit(data.train, epochs=3, verbose=0)
            return model

        assert grown().num_parameters > 30
        assert grown(max_leaf_nodes=2).num_parameters == 3 * 3  # a root and two leaves each
        assert grown(min_samples_leaf=len(data.train) // 2).num_parameters <= 3 * 3  # no leaf can be split again
        assert np.ptp(grown(l2_reg_leaf=1e9).predict(data.test)) < 1e-6

    @pytest.mark.parametrize("lr", [0, -1.0, float("inf")])
    def test_learning_rate_must_be_positive(self, lr):
        with pytest.raises(InputError, match="learning rate"):
            build("gbdt", COLUMNS).compile(lr=lr)

    @pytest.mark.parametrize("argument", ["max_leaf_nodes", "min_samples_leaf"])
    def test_wrong_arguments_are_errors(self, argument):
        with pytest.raises(InputError, match=argument):
            GBDT(COLUMNS.all, **{argument: 0})


class TestInput:
    def test_small_lists_become_indicators_and_large_ones_counts(self):
        large = VarLenSparseFeat(SparseFeat("seen", 1000, 4), maxlen=0, combiner="mean")
        model = GBDT([SparseFeat("user_id", 9, 4), COLUMNS.item[1], large])
        genres = Bags(torch.tensor([1, 5, 0, 3]), torch.tensor([0, 3, 3, 4]))
        seen = Bags(torch.tensor([7, 8, 999, 0]), torch.tensor([0, 2, 4, 4]))
        matrix = model._matrix({"user_id": torch.tensor([4, 5, 6]), "genres": genres, "seen": seen})
        assert matrix.tolist() == [[4, 1, 0, 0, 0, 1, 2], [5, 0, 0, 0, 0, 0, 1], [6, 0, 0, 1, 0, 0, 0]]

    def test_bags_and_padded_lists_are_the_same(self, data):
        model = build("gbdt", columns_of(data))
        rows = torch.arange(len(data.test))
        padded = {k: torch.from_numpy(v) for k, v in plain_arrays(data.test, model.feature_names).items()}
        assert torch.equal(model._matrix(padded), model._matrix(data.test.batch(rows, model.feature_names)))

    def test_large_ids_stay_apart(self):
        """Ids above 2^24 merge in float32."""
        matrix = GBDT([SparseFeat("user_id", 2**25, 4)])._matrix({"user_id": torch.tensor([2**24, 2**24 + 1])})
        assert matrix[0, 0] != matrix[1, 0]


class TestFiles:
    def test_number_of_trees_comes_from_the_file(self, tmp_path):
        x, y = arrays()
        model = build("gbdt", COLUMNS)
        model.compile(lr=0.2)
        model.fit(x, y, epochs=6, verbose=0)
        model.save(tmp_path)
        loaded = load_model(tmp_path)
        assert loaded.forest.num_trees == 6
        assert loaded.num_parameters == model.num_parameters > 6
        assert np.array_equal(loaded.predict(x), model.predict(x))
