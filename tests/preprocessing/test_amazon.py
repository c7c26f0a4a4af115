"""The readers of Amazon Electronics: both published forms, wrong input, and what the protocols make of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_blind_to_test_labels
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.deepctr import SparseFeat
from foundation.errors import InputError
from preprocessing.amazon import META, ONE_FILE, REVIEWS, SCHEMA, read
from preprocessing.amazon_lines import UntilNull
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData

REVIEW = {"reviewerID": "A1", "asin": "B1", "overall": 5.0, "unixReviewTime": 1365811200}
# user, item, stars, time
SMALL = (("A2", "B2", 5.0, 300), ("A1", "B1", 3.0, 100), ("A1", "B2", 4.0, 200), ("A1", "B3", 1.0, 200))
COLUMNS = ("reviewerID", "asin", "overall", "unixReviewTime", "price", "categories")
ITEMS = (
    {"asin": "B1", "price": 9.5, "categories": [["Electronics", "Bob's"], ["Electronics", "TV"]]},
    {"asin": "B9", "price": 1.0, "categories": [["Electronics"]], "title": "never reviewed"},
    {"categories": [["Electronics", "Cables"]], "asin": "B2", "description": 'It\'s "good"\n'},
)


def review(user: str, item: str, stars: float, time: int, **more) -> dict:
    text = {"reviewerName": "Bob", "helpful": [0, 0], "reviewText": 'a "b" \\ é', "reviewTime": "01 1, 2014"}
    return {"reviewerID": user, "asin": item, "overall": stars, "unixReviewTime": time} | text | more


def write(folder: Path, reviews=None, meta=None, compress: bool = True) -> Path:
    """reviews, meta: lists of dicts, or the content itself."""
    folder.mkdir(parents=True, exist_ok=True)
    reviews = [review(*row) for row in SMALL] if reviews is None else reviews
    meta = list(ITEMS) if meta is None else meta
    for name, content, show in ((REVIEWS, reviews, json.dumps), (META, meta, repr)):
        if isinstance(content, list):
            content = "".join(f"{show(entry)}\n" for entry in content)
        content = content if isinstance(content, bytes) else content.encode()
        if compress:
            (folder / name).write_bytes(gzip.compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)
    return folder


def write_one(
    path: Path, rows, items, header=("reviewerID", "asin", "overall", "unixReviewTime", "price", "categories")
):
    """As pandas writes the published scripts' merged frame."""
    by_id = {item["asin"]: item for item in items}
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    for user, asin, stars, time in rows:
        item = by_id.get(asin, {})
        values = dict(zip(("reviewerID", "asin", "overall", "unixReviewTime"), (user, asin, stars, time), strict=True))
        values |= {"price": item.get("price", ""), "categories": item.get("categories", "")}
        table.writerow([values.get(name, "") for name in header])
    path.write_text(text.getvalue(), encoding="utf-8")
    return path


def rows_of(raw: RawData) -> list[tuple]:
    users, items = raw.users["reviewerID"].to_numpy()[raw.user], raw.items["asin"].to_numpy()[raw.item]
    return list(zip(users, items, raw.label, raw.timestamp, strict=True))


def categories_of(raw: RawData) -> list[list[str]]:
    lists = raw.item_lists["categories"]
    return [lists.values[a:b].tolist() for a, b in zip(lists.offsets[:-1], lists.offsets[1:], strict=True)]


class TestSmallFiles:
    def test_interactions_and_labels(self, tmp_path):
        raw = read(write(tmp_path))
        assert rows_of(raw) == [("A2", "B2", 1, 300), ("A1", "B1", 0, 100), ("A1", "B2", 1, 200), ("A1", "B3", 0, 200)]
        assert raw.name == "amazon"

    def test_items_are_the_reviewed_ones_in_order_with_prices_and_all_category_names(self, tmp_path):
        raw = read(write(tmp_path))
        assert raw.items["asin"].tolist() == ["B1", "B2", "B3"]
        assert raw.items["price"].tolist()[0] == 9.5
        assert np.isnan(raw.items["price"][1:]).all()
        assert categories_of(raw) == [["Electronics", "Bob's", "TV"], ["Electronics", "Cables"], []]

    def test_counts_add_up_and_name_reasons(self, tmp_path):
        reviews, meta = read(write(tmp_path)).counts
        assert (reviews.read, reviews.kept) == (4, 4)
        assert (meta.read, meta.kept, meta.dropped) == (3, 2, {"never reviewed": 1})
        assert meta.notes == ("1 reviewed items without a line", "2 without a price")

    def test_unpacked_files_hold_the_same(self, tmp_path):
        packed, plain = read(write(tmp_path / "a")), read(write(tmp_path / "b", compress=False))
        assert rows_of(packed) == rows_of(plain)
        assert packed.items.equals(plain.items)

    def test_the_one_file_holds_the_same(self, tmp_path):
        pair = read(write(tmp_path / "a"))
        one = write_one(tmp_path / ONE_FILE, SMALL, ITEMS)
        for path in (one, tmp_path):
            raw = read(path)
            assert rows_of(raw) == rows_of(pair)
            assert raw.items.equals(pair.items)
            assert categories_of(raw) == categories_of(pair)

    def test_the_one_file_with_other_columns_in_another_order(self, tmp_path):
        header = ("", "categories", "price", "unixReviewTime", "title", "overall", "asin", "reviewerID")
        raw = read(write_one(tmp_path / "mine.csv", SMALL, ITEMS, header))
        assert rows_of(raw) == rows_of(read(write(tmp_path / "a")))

    def test_a_category_that_is_no_list_is_a_name(self, tmp_path):
        items = [{"asin": asin, "categories": text} for asin, text in (("B1", "TV"), ("B2", "[sic"), ("B3", "TV"))]
        raw = read(write_one(tmp_path / "x.csv", SMALL, items))
        assert categories_of(raw) == [["TV"], ["[sic"], ["TV"]]

    def test_lines_that_only_the_careful_parser_reads(self, tmp_path):
        """A float that is a whole time, a blank line, entries in another order and a text that looks like an end."""
        lines = [json.dumps(review(*row)) for row in SMALL]
        lines[0] = json.dumps(dict(reversed(review("A2", "B2", 5, 300.0, reviewText='"}').items())))
        raw = read(write(tmp_path / "b", reviews="\n\n".join(lines)))
        assert rows_of(raw) == rows_of(read(write(tmp_path / "a")))

    def test_repeated_reviews_stay(self, tmp_path):
        assert len(read(write(tmp_path, reviews=[review(*row) for row in SMALL * 2]))) == 8


class TestMetadataInJson:
    """Whatever JSON may write otherwise than Python: a line means what it means as JSON."""

    CATEGORIES = (["Electronics", 'Bob\'s "Café" \\', "電影 😀"], ["TV/Video", "\u2028 line"])

    @pytest.mark.parametrize("options", [{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"sort_keys": True}])
    @pytest.mark.parametrize("extra", [{}, {"brand": None, "new": True, "rank": {"a": [1, None, False]}, "x": 1e-5}])
    def test_says_the_same_as_literals(self, options, extra, tmp_path):
        items = [{"asin": f"B{k}", "price": 9.5 * k, "categories": list(self.CATEGORIES[:k])} for k in (1, 2)]
        items += [{"asin": "B3"}]
        lines = [json.dumps(item | extra, **options) for item in items]
        lines[1] = lines[1].replace("TV/Video", "TV\\/Video")
        literal, strict = read(write(tmp_path / "a", meta=items)), read(write(tmp_path / "b", meta="\n".join(lines)))
        assert strict.items.equals(literal.items)
        assert categories_of(strict) == categories_of(literal)
        assert "電影 😀" in categories_of(strict)[0]

    def test_lines_of_both_kinds_in_one_file(self, tmp_path):
        lines = [repr(ITEMS[0]), json.dumps(ITEMS[2] | {"new": True})]
        raw = read(write(tmp_path, meta="\n".join(lines)))
        assert categories_of(raw) == [["Electronics", "Bob's", "TV"], ["Electronics", "Cables"], []]

    def test_prices_and_the_one_path_of_the_later_release(self, tmp_path):
        prices = {"B1": "$12.99", "B2": "$1,299.00", "B3": ""}
        lines = [json.dumps({"asin": asin, "price": price, "category": ["A", asin]}) for asin, price in prices.items()]
        raw = read(write(tmp_path, meta="\n".join(lines)))
        np.testing.assert_array_equal(raw.items["price"], [12.99, 1299.0, np.nan])
        assert categories_of(raw) == [["A", "B1"], ["A", "B2"], ["A", "B3"]]


class TestNestedReviews:
    @pytest.mark.parametrize(
        "more",
        [
            [{"style": {"Size:": " L", "more": [{"a": None}]}}, {"style": "L"}, {"style": [1, "x", {}]}, {}],
            [{"image": []}, {"image": [["a"]]}, {"image": None}, {"image": {"a": {"b": [1.5]}}}],
            [{"": 1}, {"a": {"": {"": None}}}, {"overall ": 3}, {"z": "[" * 5000}],
            [{"deep": json.loads("[" * 500 + "]" * 500)}] * 4,
        ],
    )
    def test_entries_that_are_not_read_may_be_anything(self, more, tmp_path):
        reviews = [review(*row, **extra) for row, extra in zip(SMALL, more, strict=True)]
        assert rows_of(read(write(tmp_path / "b", reviews=reviews))) == rows_of(read(write(tmp_path / "a")))

    @pytest.mark.parametrize("name", REVIEW)
    @pytest.mark.parametrize("value", [{"a": 1}, [1], [], {}, None, [[{"a": None}]]])
    @pytest.mark.parametrize("place", [0, 3])
    def test_those_that_are_read_may_not(self, name, value, place, tmp_path):
        reviews = [review(*row) for row in SMALL]
        reviews[place][name] = value
        with pytest.raises(InputError, match=rf"line {place + 1}: {name} must be .* affected: 1"):
            read(write(tmp_path, reviews=reviews))


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (
                {"reviews": [REVIEW, REVIEW | {"overall": 6}]},
                r"line 2: overall must be.* affected: 1",
            ),
            (
                {"reviews": [REVIEW | {"overall": "5"}] * 2},
                r"line 1: overall must be.* affected: 2",
            ),
            ({"reviews": [REVIEW | {"overall": float("nan")}]}, "overall must be a number"),
            ({"reviews": [REVIEW | {"overall": True}]}, "overall must be a number"),
            ({"reviews": [REVIEW | {"asin": None}]}, "asin must be a text"),
            ({"reviews": [REVIEW | {"asin": ""}]}, "asin must be a text"),
            ({"reviews": [REVIEW | {"reviewerID": 5}]}, "reviewerID must be a text"),
            ({"reviews": [{"asin": "B1"}]}, "reviewerID must be a text"),
            ({"reviews": [REVIEW | {"unixReviewTime": 1.5}]}, "unixReviewTime must be an integer"),
            ({"reviews": [REVIEW | {"unixReviewTime": 10**30}]}, "unixReviewTime must be an integer"),
            ({"reviews": "[1, 2]"}, "line 1: not a JSON object"),
            ({"reviews": json.dumps(REVIEW) + "\n" + json.dumps(REVIEW)[:-9]}, "line 2: not a JSON object"),
            ({"reviews": repr(REVIEW)}, "line 1: not a JSON object"),
            ({"reviews": "null"}, "line 1: not a JSON object"),  # which ends Arrow's parser in a segmentation fault
            ({"reviews": " \r\n\n \tnull\n" + json.dumps(REVIEW)}, "line 3: not a JSON object. Received: 'null'"),
            ({"reviews": "\n".join([json.dumps(REVIEW)] * 3 + ["null"])}, "line 4: not a JSON object"),
            ({"reviews": ""}, "has no reviews"),
            ({"meta": ["asin", {"asin": "B1"}]}, "line 1: not a Python dict or JSON object"),
            ({"meta": "{'asin': open('x')}"}, "line 1: not a Python dict or JSON object"),
            ({"meta": "{'asin': 'B1', 'categories': [['TV']"}, "line 1: not a Python dict or JSON object"),
            ({"meta": ""}, "has no items"),
            ({"meta": [{"asin": "\ud800"}]}, "asin must be a text"),
            ({"meta": [{"asin": "B1", "categories": [["\ud800"]]}]}, "categories must be a list of lists of texts"),
            ({"reviews": [REVIEW | {"asin": "\ud800"}]}, "asin must be a text"),
            ({"reviews": [REVIEW | {"reviewerID": "A\udfff"}]}, "reviewerID must be a text"),
            *(
                ({"meta": [{"asin": "B1", "price": price}]}, "price must be a number of at least 0")
                for price in ("9.50", "$", "$-1", "$1,2", "$5 - $9", "$1e3", "cheap", [1])
            ),
            ({"meta": [{"asin": "B1"}, {"price": 2}]}, "line 2: asin must be a text"),
            ({"meta": [{"asin": "B1"}, {"asin": "B1"}]}, "line 2: its asin stands on an earlier line"),
            ({"meta": [{"asin": "B1", "price": -1}]}, "price must be a number of at least 0"),
            ({"meta": [{"asin": "B1", "price": "9"}]}, "price must be a number of at least 0"),
            ({"meta": "{'asin': 'B1', 'price': 1e999}"}, "price must be a number of at least 0"),
            ({"meta": [{"asin": "B1", "categories": ["TV"]}]}, "categories must be a list of lists of texts"),
            ({"meta": [{"asin": "B1", "categories": [["TV", 1]]}]}, "categories must be a list of lists of texts"),
        ],
    )
    def test_content(self, content, message, tmp_path):
        with pytest.raises(InputError, match=message):
            read(write(tmp_path, **content))

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("5.0", "6.0", "line 2: overall must be a number from 1 to 5"),
            ("5.0", "", "line 2: overall must be a finite number"),
            ("9.5", "-9.5", "line 3: price must not be negative"),
            ("9.5", "cheap", "line 3: price must be a finite number of at least 0, empty or NULL"),
            ("A2", "", "line 2: reviewerID is empty"),
            ("A1,B2,4.0,200,,", "A1,B2,4.0,200,7,", "line 4: the asin has another price on an earlier line"),
            ("reviewerID", "user", "lacks or repeats 'reviewerID'"),
            (",", "\t", "lacks or repeats 'reviewerID'"),
        ],
    )
    def test_content_of_the_one_file(self, old, new, message, tmp_path):
        path = write_one(tmp_path / ONE_FILE, SMALL, ITEMS)
        path.write_text(path.read_text().replace(old, new))
        with pytest.raises(InputError, match=message):
            read(path)

    def test_missing_files(self, tmp_path):
        with pytest.raises(InputError, match="No such file or folder"):
            read(tmp_path / "nowhere")
        with pytest.raises(InputError, match=f"lacks {REVIEWS}, {META}"):
            read(tmp_path)
        write(tmp_path)
        (tmp_path / META).unlink()
        with pytest.raises(InputError, match=f"lacks {META}"):
            read(tmp_path)

    @pytest.mark.parametrize("name", [REVIEWS, META])
    @pytest.mark.parametrize("cut", [5, 12, -12, -3])
    def test_cut_gzip_file(self, name, cut, tmp_path):
        write(tmp_path)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:cut])
        with pytest.raises(InputError, match=r"no complete gzip file"):
            read(tmp_path)

    @pytest.mark.parametrize("name", [REVIEWS, META])
    def test_no_gzip_file_at_all(self, name, tmp_path):
        write(tmp_path)
        (tmp_path / name).write_bytes(b"<html>not found</html>")
        with pytest.raises(InputError, match="no complete gzip file"):
            read(tmp_path)


def spliced(text: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(text))
    bits = st.binary(max_size=5) | st.sampled_from(
        [b"\n", b"}", b"{", b'"', b"'", b", ", b"\\", b"\xff", b"\x00", b"[["]
    )
    return st.builds(lambda i, j, bit: text[: min(i, j)] + bit + text[max(i, j) :], place, place, bits)


JSON_LINES = "\n".join(json.dumps(review(*row)) for row in SMALL).encode()
LITERAL_LINES = "\n".join(map(repr, ITEMS)).encode()


class TestFuzzed:
    @given(content=spliced(JSON_LINES) | st.binary(max_size=50))
    @example(content=JSON_LINES.replace(b"\n", b" "))
    @example(content=JSON_LINES.replace(b"\n", b""))
    @example(content=JSON_LINES.replace(b"\n", b"\r"))
    @example(content=JSON_LINES.replace(b'"B1"', b'"B1", "asin": "B2"'))
    @example(content=JSON_LINES.replace(b'"B1"', b'"B\x80"'))
    def test_reviews(self, content, tmp_path_factory):
        self.complete_or_refused(write(tmp_path_factory.mktemp("fuzz"), reviews=content, compress=False))

    @given(content=spliced(LITERAL_LINES) | st.binary(max_size=50))
    def test_metadata(self, content, tmp_path_factory):
        self.complete_or_refused(write(tmp_path_factory.mktemp("fuzz"), meta=content, compress=False))

    @given(content=st.data())
    def test_one_file(self, content, tmp_path_factory):
        path = write_one(tmp_path_factory.mktemp("fuzz") / ONE_FILE, SMALL, ITEMS)
        path.write_bytes(content.draw(spliced(path.read_bytes()) | st.binary(max_size=50)))
        self.complete_or_refused(path)

    def complete_or_refused(self, path: Path) -> None:
        """Every line is counted, in an error or as a row."""
        try:
            raw = read(path)
        except InputError:
            return
        for count in raw.counts:
            file = path if path.is_file() else path / count.source
            if count.source.startswith("reviews"):
                reviews = list(objects(file.read_text("utf-8", errors="replace")))
                assert rows_of(raw) == [
                    (entry["reviewerID"], entry["asin"], entry["overall"] >= 4, entry["unixReviewTime"])
                    for entry in reviews
                ]
            else:
                lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
                assert count.read == len(lines) - (file.suffix == ".csv")
        assert len(raw) == raw.counts[0].kept


def objects(text: str):
    """The JSON objects of a text, one after another."""
    place, decoder = 0, json.JSONDecoder()
    while text[place:].strip():
        start = place + len(text[place:]) - len(text[place:].lstrip())
        entry, place = decoder.raw_decode(text, start)
        yield entry


def random_reviews(seed: int = 0, rows: int = 500, users: int = 25, items: int = 20) -> dict:
    rng = np.random.default_rng(seed)
    stars = rng.choice([1.0, 2.0, 3.0, 4.0, 5.0], rows, p=[0.1, 0.1, 0.1, 0.3, 0.4])
    columns = (rng.integers(0, users, rows), rng.integers(0, items, rows), stars, rng.integers(0, 90, rows) * 86_400)
    reviews = [review(f"A{u}", f"B{i}", float(s), int(t)) for u, i, s, t in zip(*columns, strict=True)]
    meta = [
        {"asin": f"B{item}", "categories": [["Electronics", f"Kind {item % 4}"]]}
        | ({"price": item} if item % 3 else {})
        for item in range(items + 5)
    ]
    return {"reviews": reviews, "meta": meta}


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> RawData:
    return read(write(tmp_path_factory.mktemp("amazon"), **random_reviews()))


class TestProtocols:
    def test_published_statistics_come_from_all_rows_before_the_split(self, raw):
        data = Dataset.build(raw, "published", 0)
        rows = np.concatenate(list(data.protocol.splits.values()))
        for name, entity in (("user_mean_rating", raw.user), ("item_mean_rating", raw.item)):
            mean = np.bincount(entity[rows], raw.label[rows]) / np.bincount(entity[rows])
            low, high = mean.min(), mean.max()
            expected = (mean[entity[rows]] - low) / (high - low)
            assert data.per_row.values[name].numpy()[rows] == pytest.approx(expected, abs=1e-6)
        assert "all rows before the split" in data.protocol.leak

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_permuting_test_labels_changes_no_feature(self, raw, protocol):
        assert_blind_to_test_labels(raw, protocol)

    @pytest.mark.parametrize("protocol", ["published", "holdout", "temporal"])
    def test_missing_price_is_a_mean_over_interactions(self, raw, protocol):
        data = Dataset.build(raw, protocol, 0)
        splits = data.protocol.splits
        fitted = np.arange(len(raw)) if protocol == "published" else splits["train"]
        assert data.scalers["price"].fill == pytest.approx(np.nanmean(raw.items["price"].to_numpy()[raw.item[fitted]]))
        assert np.isfinite(data.items.values["price"].numpy()).all()

    def test_features(self, raw):
        columns = Dataset.build(raw, "holdout", 0).feature_columns()
        assert [column.name for column in columns.user] == ["reviewerID", "user_mean_rating"]
        assert [column.name for column in columns.item] == ["asin", "categories", "price", "item_mean_rating"]
        assert (columns.user_static, columns.item_static) == (SCHEMA.user_static, SCHEMA.item_static)

    def test_features_of_the_releases(self, raw):
        """Categories are one value an item, and the generators read the user's mean label, too."""
        data = Dataset.build(raw, "published", 0)
        columns = data.feature_columns()
        assert [column.name for column in columns.item] == ["asin", "categories", "price", "item_mean_rating"]
        assert isinstance(columns.item[1], SparseFeat)
        assert (columns.user_static, columns.item_static) == (
            ("reviewerID", "user_mean_rating"),
            ("asin", "categories"),
        )
        assert data.vocabularies["categories"].tolist() == [f"Electronics|Kind {kind}" for kind in range(4)]
        assert data.raw.schema == SCHEMA  # from which any protocol's features can be made


class TestUntilNull:
    """Whatever the blocks that a file is read in, it ends before the one in which a line begins with null."""

    @given(
        st.lists(st.sampled_from(["null", " null", '{"a": null}', "", "nul", "x null", "\tnull,"]), max_size=6),
        st.sampled_from(["\n", "\r\n", "\r"]),
        st.integers(1, 9),
    )
    def test_finds_just_the_lines_that_begin_with_null(self, lines, end, size):
        content = end.join(lines).encode()
        watched = UntilNull(io.BytesIO(content))
        received = b"".join(iter(lambda: watched.read(size), b""))
        assert watched.found == any(line.strip().startswith("null") for line in lines)
        assert content.startswith(received)
        assert watched.found or received == content
