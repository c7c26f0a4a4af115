"""What objects say when they are printed: sizes and kinds that are counted again here, and never their arrays."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from helpers import fit, plain_arrays, random_raw, small_model
from serving_helpers import dataset, random_model, ranker_of

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.feature_columns import FeatureColumns
from foundation.features import Bags
from foundation.shown import columns
from model import MODELS, build_model, load_model
from model.description import describe
from preprocessing.arrays import Arrays
from preprocessing.dataset import Dataset
from preprocessing.protocol import PROTOCOLS


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset.build(random_raw(), "holdout", 0)


def lines_of(value) -> list[list[str]]:
    return [line.split() for line in repr(value).splitlines()]


class TestDataset:
    def test_text_and_representation_are_one(self, data):
        assert str(data) == repr(data)

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_rows_and_share_of_positives_of_each_split(self, protocol):
        data = Dataset.build(random_raw(), protocol, 3)
        lines = lines_of(data)
        for name in ("train", "validation", "test"):
            split = data.split(name)
            share = sum(label == 1 for label in split.labels.tolist()) / len(split)
            assert [name, f"{len(split):,}", f"{100 * share:.1f}%"] in lines

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_protocol_seed_and_leak(self, protocol):
        second = repr(Dataset.build(random_raw(), protocol, 3)).splitlines()[1]
        assert second.startswith(
            f"Protocol {protocol}, seed 3, leaks {'labels: ' if protocol == 'published' else 'no'}"
        )

    def test_every_feature_with_its_side_kind_and_size(self, data):
        lines = lines_of(data)
        assert ["user", "user_id", "category", f"{len(data.vocabularies['user_id'])}", "ids"] in lines
        assert ["item", "movie_id", "category", f"{len(data.vocabularies['movie_id'])}", "ids"] in lines
        assert ["user", "user_mean_rating", "mean", "label"] in lines
        income = data.scalers["income"]
        assert ["user", "income", "number", f"{income.low:g}", "to", f"{income.high:g}"] in lines
        names = [line[1] for line in lines if line[0] in ("user", "item")]
        assert sorted(names) == sorted(column.name for column in data.feature_columns(history=True).all)

    def test_mean_length_of_lists(self, data):
        for name, kind, rows in (("genres", "list", len(data.raw.items)), ("liked_movies", "history", len(data.raw))):
            table = data.items if kind == "list" else data.per_row
            bags = table.batch(name, torch.arange(rows))
            assert isinstance(bags, Bags)
            mean = float(np.mean(np.diff(bags.offsets.numpy())))
            ids = len(data.encoding.vocabulary_of(name))
            found = next(line for line in lines_of(data) if line[1:2] == [name])
            assert found[2:] == [kind, f"{ids}", "ids,", f"{mean:.1f}", "a", "row"]

    def test_columns_are_aligned_and_lines_short(self, data):
        lines = repr(data).splitlines()
        places = [line.index(kind) for line in lines for kind in ("category", "number") if f" {kind} " in line]
        assert len(places) > 4
        assert len(set(places)) == 1
        assert max(map(columns, lines)) <= 120

    def test_a_split_says_its_rows(self, data):
        assert repr(data.test).startswith(f"Split of by-hand, holdout: {len(data.test)} rows, ")
        assert repr(data.test.take(torch.arange(0))) == "Split of by-hand, holdout: 0 rows, - positive"

    def test_a_name_cannot_move_the_cursor(self):
        data = Dataset.build(dataclasses.replace(random_raw(), name="by\x1b[2J\nhand"), "holdout", 0)
        for text in (*repr(data).splitlines()[:1], repr(data.raw), repr(data.train), *data.summary().splitlines()[:1]):
            assert text.isprintable()
            assert "by[2J hand" in text


class TestNoDumps:
    def test_of_large_objects(self, data):
        names = [column.name for column in data.feature_columns(history=True).all]
        arrays = plain_arrays(data.test, names)
        labels = data.test.labels.numpy()
        held = Arrays.check(arrays, labels, data.feature_columns(history=False).all, "user_id")
        tables = (data.users, data.items, data.per_row, data.protocol, data.protocol.views, data.schema)
        for value in (data.raw, data.train, data.encoding, data.vocabularies["user_id"], held, *tables):
            assert "\n" not in repr(value)
            assert len(repr(value)) < 300
            assert "tensor(" not in repr(value)
            assert "array(" not in repr(value)
            assert " at 0x" not in repr(value)
        assert f"{len(labels)} rows" in repr(held)
        assert repr(data.users) == "FeatureTable: 12 rows of user_id, gender, income"
        assert repr(data.protocol) == "SplitProtocol holdout: 192 train, 48 validation, 60 test rows; leaks no labels"

    def test_of_many_columns(self):
        many = [SparseFeat(f"feature{number}", 10, 4) for number in range(200)]
        shown = repr(FeatureColumns(many, [SparseFeat("item", 5, 4), DenseFeat("price")]))
        assert "and 184 more; item: item (5 x 4), price (number)" in shown
        lists = FeatureColumns(many[:1], [VarLenSparseFeat(SparseFeat("tags", 7, 4), maxlen=3)])
        assert repr(lists) == "FeatureColumns: user: feature0 (10 x 4); item: tags (list, 7 x 4)"


class TestModel:
    @pytest.mark.parametrize("name", MODELS)
    def test_begins_with_a_line_of_what_it_is(self, data, name):
        given = data.feature_columns(8, history=MODELS[name].history)
        model = build_model(name, given)
        first, *tree = repr(model).splitlines()
        features = f"{len(given.all)} features"
        if hasattr(model, "user_columns"):
            features = f"{len(given.user)} user features, {len(given.item)} item features"
        count = sum(parameter.numel() for parameter in model.parameters())
        assert first.startswith(f"{type(model).__name__}: {count:,} parameters, {features}, ")
        assert first.endswith(", on cpu; not compiled")
        assert tree[0].startswith(f"{type(model).__name__}(")

    def test_how_far_it_is(self, data, tmp_path):
        model = small_model("dssm", data)
        assert describe(model).endswith("on cpu; not trained")
        fit(model, data, epochs=1)
        assert describe(model).endswith("on cpu; trained")
        model.save(tmp_path)
        assert describe(load_model(tmp_path)) == describe(model)

    def test_a_model_whose_training_failed_at_once_is_not_trained(self, data):
        model = small_model("dssm", data)
        model.losses = None
        with pytest.raises(TypeError):
            fit(model, data)
        assert describe(model).endswith("not trained")

    @pytest.mark.parametrize("name", ["lr", "gbdt"])
    def test_no_embeddings_where_there_are_none(self, data, name):
        assert "embeddings" not in repr(build_model(name, data.feature_columns(4)))

    def test_sizes_of_embeddings(self):
        sizes = [SparseFeat("a", 3, 4), SparseFeat("b", 3, 16), SparseFeat("c", 3, 8)]
        columns = FeatureColumns(sizes[:2], sizes[2:])
        assert ", embeddings of 4 to 16, " in describe(build_model("wide_and_deep", columns))


class TestRanker:
    def test_says_run_model_items_bytes_and_precision(self, tmp_path, monkeypatch):
        data = dataset()
        ranker = ranker_of(tmp_path / "run", random_model("dssm", data), data, "int8")
        size = sum(path.stat().st_size for path in (tmp_path / "run" / "index").glob("base-*.idx"))
        items = f"{len(data.raw.items)} items, int8, {size / 2**20:.1f} MiB in memory"
        users = f"{len(data.raw.users)} users"
        assert repr(ranker) == f"PreRanker of {tmp_path / 'run'}: DSSM, {users}, {items}"
        assert repr(ranker.state.items) == f"Snapshot: {items}"
        monkeypatch.chdir(tmp_path)
        assert repr(ranker).startswith("PreRanker of run: ")

    def test_the_current_folder_may_be_gone(self, tmp_path, monkeypatch):
        data = dataset()
        ranker = ranker_of(tmp_path / "run", random_model("dssm", data), data)
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        assert repr(ranker).startswith(f"PreRanker of {tmp_path / 'run'}: ")

    def test_a_large_index_is_mapped(self, tmp_path, monkeypatch):
        monkeypatch.setattr("serving.section_file.CHECK_WHOLE", 0)
        data = dataset()
        assert repr(ranker_of(tmp_path, random_model("dssm", data), data)).endswith(" MiB mapped from disk")

    def test_changes_are_counted(self, tmp_path):
        data = dataset()
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ids = data.raw.items[data.schema.item_id].tolist()
        ranker.delete(ids[:2])
        assert f"{len(ids) - 2} items (0 changed, 2 deleted), float32" in repr(ranker)

    def test_a_replaced_item_is_changed_and_not_deleted(self, tmp_path):
        data = dataset()
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        ids = data.raw.items[data.schema.item_id].tolist()
        ranker.upsert([{data.schema.item_id: ids[0], "genres": ["War"]}])
        assert f"{len(ids)} items (1 changed, 0 deleted), float32" in repr(ranker)
