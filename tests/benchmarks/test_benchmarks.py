"""The parts of the benchmarks that could measure the wrong thing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import random_raw

from benchmarks.peers import Rows, deepctr_epoch, rechub_epoch
from benchmarks.profile_step import OTHER, Stopwatch, kind_of
from benchmarks.sections import table, write_section
from benchmarks.training_speed import PAIRS, our_model
from model.layers.tower import Tower
from preprocessing.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


class TestSections:
    def test_table(self):
        rows = [{"model": "lr", "rows/s": 12345}, {"model": "hit"}]
        assert table(rows) == "| model | rows/s |\n| --- | --- |\n| lr | 12,345 |\n| hit | - |"

    def test_only_the_section_is_replaced(self, tmp_path):
        path = tmp_path / "README.md"
        path.write_text("a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\nkept\n<!-- /y -->\n")
        for _ in range(2):
            write_section("x", "new", path)
        assert path.read_text() == "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n<!-- y -->\nkept\n<!-- /y -->\n"


class TestProfile:
    def test_time_inside_another_part_counts_once(self, monkeypatch):
        clock = iter([0.0, 1.0, 3.0, 10.0])
        monkeypatch.setattr("benchmarks.profile_step.time.perf_counter", lambda: next(clock))
        watch = Stopwatch()
        inner = watch.timed("inner", lambda: None)
        watch.timed("outer", lambda: inner())()
        assert watch.seconds == {"inner": 2.0, "outer": 8.0}

    @pytest.mark.parametrize(
        ("operator", "kind"),
        [
            ("mm", "matrix products"),
            ("random_", "random numbers"),
            ("native_batch_norm_backward", "batch norm"),
            ("embedding_dense_backward", "embedding gradients"),
            ("embedding", "lookups and gathers"),
            ("_fused_adam_", "optimiser"),
            ("mul", OTHER),
        ],
    )
    def test_kinds(self, operator, kind):
        assert kind_of(operator) == kind


class TestContenders:
    @pytest.mark.parametrize("name", sorted({name for name, _ in PAIRS}))
    def test_all_have_the_same_hidden_layers_and_train(self, name, dataset, capsys):
        ours = our_model(name, dataset)
        sizes = [list(part.sizes[1:]) for part in ours.modules() if isinstance(part, Tower)]
        assert all(size[:2] == [300, 300] for size in sizes)
        columns = dataset.feature_columns(32, history=name == "hit", own_history_table=name == "hit")
        rows = Rows.of(dataset.train.take(torch.arange(64)), columns)
        peers = [make(name, rows, 32) for make in (deepctr_epoch, rechub_epoch)]
        assert any(peers)
        for peer in filter(None, peers):
            peer()
        assert "nan" not in capsys.readouterr().out

    def test_padding_keeps_the_lists(self, dataset):
        columns = dataset.feature_columns(32, history=True)
        split = dataset.train.take(torch.arange(20))
        rows = Rows.of(split, columns)
        bags = split.batch(torch.arange(20), ["liked_movies"])["liked_movies"]
        for row, padded in enumerate(rows.arrays["liked_movies"]):
            expected = bags.values[bags.offsets[row] : bags.offsets[row + 1]].numpy()
            assert np.array_equal(padded[: len(expected)], expected)
            assert not padded[len(expected) :].any()
