"""The reader of Taobao's three files: their quirks, wrong input, and what the protocols make of them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import assert_blind_to_test_labels
from hypothesis import example, given
from hypothesis import strategies as st

from foundation.errors import InputError
from preprocessing.dataset import Dataset
from preprocessing.raw import RawData
from preprocessing.taobao import FILES, PROFILE, PUBLISHED_ROWS, SCHEMA, place_pid, read
from preprocessing.text_table import MISSING

DAY = 86_400
MIDNIGHT = 1_494_000_000  # 2017-05-06 00:00 in China
SAMPLE = f"""user,time_stamp,adgroup_id,pid,nonclk,clk
5,{MIDNIGHT},70,430548_1007,1,0
6,{MIDNIGHT + DAY},71,430539_1007,0,1
5,{MIDNIGHT + DAY - 1},71,430548_1007,0,1
9,{MIDNIGHT + 2 * DAY},88,430539_1007,1,0
5,{MIDNIGHT + 2 * DAY},70,430539_1007,0,1
"""
ADS = """adgroup_id,cate_id,campaign_id,customer,brand,price
70,1,10,100,95471,170.0
71,2,11,101,NULL,3.5
72,2,11,101,,9
"""
PROFILES = """userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,\
new_user_class_level\x20
5,0,5,2,5,,3,0,3
6,0,8,1,1,2,3,0,
"""
TEXTS = dict(zip(FILES, (SAMPLE, ADS, PROFILES), strict=True))


def write(folder: Path, compress: bool = False, **texts: str) -> Path:
    """texts: sample, ads, profiles, instead of the small ones above."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, key in zip(FILES, ("sample", "ads", "profiles"), strict=True):
        content = texts.get(key, TEXTS[name])
        content = content if isinstance(content, bytes) else content.encode()
        if compress:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def small(tmp_path) -> RawData:
    return read(write(tmp_path))


def rows_of(raw: RawData) -> list[tuple]:
    """Interactions by value, whatever the order of the entity tables."""
    users, items = raw.users["userid"].to_numpy()[raw.user], raw.items["adgroup_id"].to_numpy()[raw.item]
    return list(zip(users, items, raw.label, raw.timestamp, np.asarray(raw.interactions["pid"]), strict=True))


class TestSmallFiles:
    def test_interactions(self, small):
        assert rows_of(small) == [
            (5, 70, 0, MIDNIGHT, "430548_1007"),
            (6, 71, 1, MIDNIGHT + DAY, "430539_1007"),
            (5, 71, 1, MIDNIGHT + DAY - 1, "430548_1007"),
            (9, 88, 0, MIDNIGHT + 2 * DAY, "430539_1007"),
            (5, 70, 1, MIDNIGHT + 2 * DAY, "430539_1007"),
        ]

    def test_missing_levels_and_users_without_a_profile_are_missing_values(self, small):
        users = small.users.set_index("userid")
        assert users.loc[5].tolist() == [0, 5, 2, 5, MISSING, 3, 0, 3]
        assert users.loc[6, "new_user_class_level"] == MISSING
        assert users.loc[9].tolist() == [MISSING] * len(PROFILE)

    def test_brands_that_are_null_or_empty_and_ads_without_features(self, small):
        items = small.items.set_index("adgroup_id")
        assert items["brand"].tolist() == [95471, MISSING, MISSING, MISSING]
        assert items["price"].tolist()[:3] == [170.0, 3.5, 9.0]
        assert np.isnan(items.loc[88, "price"])
        assert items.loc[88, ["cate_id", "campaign_id", "customer"]].tolist() == [MISSING] * 3

    def test_counts_name_what_was_read(self, small):
        assert [(count.source, count.read, count.kept) for count in small.counts] == [
            ("raw_sample.csv", 5, 5),
            ("ad_feature.csv", 3, 3),
            ("user_profile.csv", 2, 2),
        ]
        text = str(small.counts[0])
        assert "1 of 1 users without a profile" in text
        assert "1 of 1 ads without a feature row" in text

    def test_gzipped_files_hold_the_same(self, small, tmp_path):
        packed = read(write(tmp_path / "packed", compress=True))
        assert rows_of(packed) == rows_of(small)
        assert packed.users.equals(small.users)
        assert packed.items.equals(small.items)

    def test_order_of_columns_does_not_matter(self, small, tmp_path):
        def swapped(text: str) -> str:
            return "\n".join(",".join(reversed(line.split(","))) for line in text.splitlines())

        mixed = read(write(tmp_path / "x", sample=swapped(SAMPLE), ads=swapped(ADS), profiles=swapped(PROFILES)))
        assert rows_of(mixed) == rows_of(small)
        assert mixed.users[list(small.users)].equals(small.users)

    def test_other_columns_are_not_read(self, small, tmp_path):
        def numbered(text: str) -> str:
            return "\n".join(f"{'' if row == 0 else f'row {row}'},{line}" for row, line in enumerate(text.splitlines()))

        more = read(write(tmp_path / "x", sample=numbered(SAMPLE), ads=numbered(ADS), profiles=numbered(PROFILES)))
        assert rows_of(more) == rows_of(small)
        assert more.users.equals(small.users)
        assert more.items.equals(small.items)

    def test_repeated_impressions_stay(self, tmp_path):
        line = SAMPLE.splitlines()[2]
        assert len(read(write(tmp_path, sample=f"{SAMPLE}{line}\n{line}\n"))) == 7

    def test_windows_line_ends_byte_order_mark_and_blank_lines(self, small, tmp_path):
        sample = "\ufeff" + SAMPLE.replace("\n", "\r\n") + "\r\n\r\n"
        assert rows_of(read(write(tmp_path / "a", sample=sample))) == rows_of(small)
        lines = SAMPLE.splitlines()
        assert rows_of(read(write(tmp_path / "b", sample="\n".join([*lines[:3], "", *lines[3:]])))) == rows_of(small)

    def test_ids_beyond_32_and_53_bits_stay_apart(self, tmp_path):
        big = 2**55
        sample = f"user,time_stamp,adgroup_id,pid,nonclk,clk\n{big},1,{big},p,1,0\n{big + 1},2,{big + 1},p,0,1\n"
        raw = read(write(tmp_path, sample=sample))
        assert [row[:2] for row in rows_of(raw)] == [(big, big), (big + 1, big + 1)]

    def test_the_smallest_id_stays_apart(self, tmp_path):
        low = -(2**63)
        sample = f"user,time_stamp,adgroup_id,pid,nonclk,clk\n{low},1,{low},p,1,0\n0,2,0,p,0,1\n"
        raw = read(write(tmp_path, sample=sample))
        assert [row[:2] for row in rows_of(raw)] == [(low, low), (0, 0)]

    def test_name_of_other_than_the_published_files(self, small):
        assert small.name == "taobao"
        assert PUBLISHED_ROWS == {
            "raw_sample.csv": 26_557_961,
            "ad_feature.csv": 846_811,
            "user_profile.csv": 1_061_768,
        }

    def test_fingerprint_follows_the_content_of_every_file(self, tmp_path):
        prints = {read(write(tmp_path / "0")).fingerprint, read(write(tmp_path / "1")).fingerprint}
        assert len(prints) == 1
        prints.add(read(write(tmp_path / "2", ads=ADS.replace("3.5", "3.6"))).fingerprint)
        prints.add(read(write(tmp_path / "3", profiles=PROFILES.replace(",2,3,0,", ",1,3,0,"))).fingerprint)
        prints.add(read(write(tmp_path / "4", sample=SAMPLE.replace(",0,1\n", ",1,0\n", 1))).fingerprint)
        assert len(prints) == 4


class TestRefused:
    """With the file, the line and the number of lines affected."""

    @pytest.mark.parametrize(
        ("texts", "message"),
        [
            (
                {"sample": SAMPLE.replace("1,0\n", "1,1\n")},
                r"raw_sample.csv, line 2: nonclk and clk must.* affected: 2",
            ),
            ({"sample": SAMPLE.replace("0,1\n", "0,2\n")}, "line 3: nonclk and clk must be 0 and 1"),
            ({"sample": SAMPLE.replace("\n6,", "\nsix,")}, "line 3: user must be an integer"),
            ({"sample": SAMPLE.replace("\n6,", "\n,")}, "line 3: user must be an integer"),
            ({"sample": SAMPLE.replace(",71,", ",7.5,")}, "line 3: adgroup_id must be an integer.* affected: 2"),
            ({"sample": SAMPLE.replace("\n6,", "\n6" + "0" * 19 + ",")}, "line 3: user must be an integer"),
            ({"sample": SAMPLE + "5,1,2\n"}, "line 7: 3 columns instead of 6"),
            ({"sample": SAMPLE + '5,1,2,"p,1,0\n'}, "line 7: malformed quotes"),
            ({"sample": SAMPLE.replace(",", ";")}, "line 1: the header lacks or repeats 'user'"),
            ({"sample": SAMPLE.replace("user,", "uid,")}, "the header lacks or repeats 'user'"),
            ({"sample": SAMPLE.replace("user,", "user,user,")}, "the header lacks or repeats 'user'"),
            ({"sample": SAMPLE.splitlines()[0]}, "has a header but no rows"),
            ({"sample": ""}, "raw_sample.csv is empty"),
            ({"ads": ADS.replace("\n71,", "\n70,")}, "ad_feature.csv, line 3: the adgroup_id stands on an earlier"),
            ({"ads": ADS.replace("3.5", "-3.5")}, "line 3: price must not be negative"),
            ({"ads": ADS.replace("3.5", "nan")}, "line 3: price must be a finite number"),
            ({"ads": ADS.replace("3.5", "1e999")}, "line 3: price must be a finite number"),
            ({"ads": ADS.replace(",95471,", ",-1,")}, "line 2: brand must be an integer of at least 0, empty or NULL"),
            ({"ads": ADS.replace("\n70,", "\nNULL,")}, "line 2: adgroup_id must be an integer"),
            ({"profiles": PROFILES + "5,1,1,1,1,1,1,1,1\n"}, "line 4: the userid stands on an earlier line"),
            ({"profiles": PROFILES.replace(",5,2,5,", ",five,2,5,")}, "line 2: cms_group_id must be an integer of at"),
        ],
    )
    def test_content(self, texts, message, tmp_path):
        with pytest.raises(InputError, match=message):
            read(write(tmp_path, **texts))

    def test_missing_files_say_where_to_get_them(self, tmp_path):
        with pytest.raises(InputError, match=r"does not exist.*tianchi.aliyun.com/dataset.*account"):
            read(tmp_path / "nowhere")
        write(tmp_path)
        (tmp_path / "ad_feature.csv").unlink()
        with pytest.raises(InputError, match=r"lacks ad_feature.csv"):
            read(tmp_path)
        with pytest.raises(InputError, match=r"is a file"):
            read(tmp_path / "raw_sample.csv")

    def test_cut_gzip_file(self, tmp_path):
        write(tmp_path, compress=True)
        packed = tmp_path / "raw_sample.csv.gz"
        packed.write_bytes(packed.read_bytes()[:-9])
        with pytest.raises(InputError, match="no complete gzip file"):
            read(tmp_path)

    def test_planted_probabilities_of_other_files(self, tmp_path):
        write(tmp_path)
        np.save(tmp_path / "planted_probability.npy", np.zeros(4, dtype=np.float32))
        with pytest.raises(InputError, match="for 5 rows"):
            read(tmp_path)
        for content in (b"no array", b""):
            (tmp_path / "planted_probability.npy").write_bytes(content)
            with pytest.raises(InputError, match="is no array"):
                read(tmp_path)


def mutations() -> st.SearchStrategy[bytes]:
    """raw_sample.csv with bytes replaced, cut out or inserted, or lines repeated."""
    text = SAMPLE.encode()
    place = st.integers(0, len(text))
    bits = st.one_of(st.binary(max_size=6), st.sampled_from([b",", b"\n", b'"', b"NULL", b"9" * 25, b"\xff", b"\x00"]))
    spliced = st.builds(lambda i, j, bit: text[: min(i, j)] + bit + text[max(i, j) :], place, place, bits)
    lines = st.lists(st.sampled_from(SAMPLE.splitlines()), max_size=8).map(lambda some: "\n".join(some).encode())
    return st.one_of(spliced, lines, st.binary(max_size=60), lines.map(lambda some: text + some))


class TestFuzzed:
    @given(sample=mutations())
    @example(sample=SAMPLE.encode().replace(b"\n", b"\r"))
    @example(sample=SAMPLE.encode() + b"5,1,70,\xff,1,0")
    @example(sample=SAMPLE.encode() + b"5,1,70,,1,0")
    def test_sample_is_read_completely_or_refused(self, sample, tmp_path_factory):
        folder = write(tmp_path_factory.mktemp("fuzz"), sample=sample)
        try:
            raw = read(folder)
        except InputError:
            return
        lines = [line for line in sample.splitlines() if line.strip()]
        assert len(raw) == len(lines) - 1 == raw.counts[0].read == raw.counts[0].kept
        clicks = sum(line.rstrip().endswith((b"0,1", b'"1"')) for line in lines[1:])
        if lines[0].decode(errors="replace").strip().endswith("nonclk,clk") and b'"' not in sample:
            assert raw.label.sum() == clicks

    @given(content=st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)), file=st.integers(0, 2))
    def test_any_content_of_any_file(self, content, file, tmp_path_factory):
        texts = {("sample", "ads", "profiles")[file]: content}
        with pytest.raises(InputError):  # none of it has the right header
            read(write(tmp_path_factory.mktemp("fuzz"), **texts))


def random_sample(seed: int = 0, rows: int = 600, users: int = 30, ads: int = 20) -> dict[str, str]:
    """Files with eight days of impressions; some users without profile and ads without features."""
    rng = np.random.default_rng(seed)
    clicked = rng.random(rows) < 0.3
    time = MIDNIGHT + rng.integers(0, 8 * DAY, rows)
    pid = rng.choice(["430548_1007", "430539_1007"], rows)
    columns = (rng.integers(1, users + 1, rows), time, rng.integers(1, ads + 1, rows), pid, 1 - clicked, 0 + clicked)
    sample = [",".join(map(str, row)) for row in zip(*columns, strict=True)]
    profiles = [",".join(map(str, [user, *rng.integers(0, 3, 8)])) for user in range(1, users - 3)]
    features = [f"{ad},{ad % 4},{ad % 7},{ad % 5},{'NULL' if ad % 3 else ad},{10 + ad}" for ad in range(1, ads - 1)]
    return {
        name: "\n".join([TEXTS[file].splitlines()[0], *lines])
        for name, file, lines in zip(("sample", "ads", "profiles"), FILES, (sample, features, profiles), strict=True)
    }


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> RawData:
    return read(write(tmp_path_factory.mktemp("taobao"), **random_sample()))


class TestProtocols:
    def test_temporal_tests_on_the_last_day_in_china_and_validates_on_the_one_before(self, raw):
        data = Dataset.build(raw, "temporal", 0)
        day = (raw.timestamp - MIDNIGHT) // DAY
        for split, days in {"train": range(6), "validation": [6], "test": [7]}.items():
            assert data.protocol.splits[split].tolist() == np.flatnonzero(np.isin(day, days)).tolist()

    def test_temporal_needs_three_days(self, raw):
        two_days = raw.take(np.flatnonzero(raw.timestamp < MIDNIGHT + 2 * DAY))
        with pytest.raises(InputError, match=r"last day.*train would be empty.*three days"):
            Dataset.build(two_days, "temporal", 0)

    def test_published_drops_users_without_a_click_and_says_how_many_rows(self, raw):
        rows = np.flatnonzero((raw.user != raw.user[0]) | (raw.label == 0))  # the first user never clicks now
        some = raw.take(rows)
        data = Dataset.build(some, "published", 0)
        described = (some.user < some.described_users) & (some.item < some.described_items)
        clicks = np.bincount(some.user, some.label * described, len(some.users))
        kept = np.concatenate(list(data.protocol.splits.values()))
        assert raw.user[0] not in some.user[kept]
        assert sorted(kept) == np.flatnonzero(described & (clicks[some.user] > 0)).tolist()
        gone = int(described.sum()) - len(kept)
        assert f"{gone:,} dropped (users without a positive), {len(kept):,} kept" in data.summary()

    def test_other_protocols_keep_impressions_without_a_profile_or_a_feature_row(self, raw):
        assert not raw.described.all()
        for protocol in ("holdout", "temporal"):
            assert sum(map(len, Dataset.build(raw, protocol, 0).protocol.splits.values())) == len(raw)

    @pytest.mark.parametrize("protocol", ["holdout", "temporal"])
    def test_permuting_test_labels_changes_no_feature(self, raw, protocol):
        assert_blind_to_test_labels(raw, protocol)

    @pytest.mark.parametrize("protocol", ["published", "holdout", "temporal"])
    def test_missing_price_is_the_mean_over_the_rows_that_encodings_are_fitted_on(self, raw, protocol):
        data = Dataset.build(raw, protocol, 0)
        splits = data.protocol.splits
        fitted = np.arange(len(raw)) if protocol == "published" else splits["train"]
        price = raw.items["price"].to_numpy()[raw.item[fitted]]
        assert np.isnan(price).any()
        assert data.scalers["price"].fill == pytest.approx(np.nanmean(price))
        scaled = data.items.values["price"].numpy()[np.isnan(raw.items["price"])]
        expected = (np.nanmean(price) - np.nanmin(price)) / (np.nanmax(price) - np.nanmin(price))
        assert scaled == pytest.approx(expected, abs=1e-6)

    def test_honest_vocabulary_of_positions_knows_training_rows_only(self, raw):
        train = Dataset.build(raw, "temporal", 0).protocol.splits["train"]
        pid = raw.interactions["pid"].copy()
        pid[train] = "430548_1007"
        data = Dataset.build(RawData(**{**vars(raw), "interactions": {"pid": pid}}), "temporal", 0)
        assert data.vocabularies["pid"].tolist() == ["430548_1007"]
        ids = data.test.batch(torch.arange(len(data.test)), ["pid"])["pid"]
        assert set(ids.tolist()) == {0, 1}


class TestPidPlacement:
    def test_sides(self):
        published, request = (place_pid(SCHEMA, side) for side in ("item", "request"))
        assert published == SCHEMA
        assert "pid" in SCHEMA.item_sparse
        assert "pid" in SCHEMA.item_static
        assert "pid" not in request.item_sparse + request.item_static
        assert request.user_sparse == (*SCHEMA.user_sparse, "pid")
        assert request.user_static == (*SCHEMA.user_static, "pid")
        assert place_pid(request, "item") == SCHEMA
        with pytest.raises(InputError, match="item, request"):
            place_pid(SCHEMA, "page")

    @pytest.mark.parametrize(("placement", "per_ad"), [("item", 2), ("request", 1)])
    def test_vectors_an_ad(self, raw, placement, per_ad):
        """What an item index has to hold: one vector a group of rows that agree in all features of the item side."""
        data = Dataset.build(RawData(**{**vars(raw), "schema": place_pid(SCHEMA, placement)}), "holdout", 0)
        columns = data.feature_columns()
        test = data.test
        first, group = test.distinct([column.name for column in columns.item])
        vectors = {
            ad: len(set(group[data.item[test.rows] == ad].tolist())) for ad in set(data.item[test.rows].tolist())
        }
        assert max(vectors.values()) == per_ad
        assert len(first) == sum(vectors.values())
        users, _ = test.distinct([column.name for column in columns.user])
        pairs = {(int(data.user[row]), int(data.per_row.values["pid"][row])) for row in test.rows}
        assert len(users) == (len(pairs) if placement == "request" else len(set(data.user[test.rows].tolist())))


class TestSample:
    def test_keeps_about_this_share_under_another_name_and_says_so(self, raw):
        some = raw.sample(0.3, seed=1)
        assert 0.2 * len(raw) < len(some) < 0.4 * len(raw)
        assert some.name == "taobao-sample0.3"
        assert f"{len(raw) - len(some):,} dropped (not in the sample), {len(some):,} kept" in str(some.counts[-1])
        assert len(some.interactions["pid"]) == len(some)

    def test_depends_on_the_seed_alone(self, raw):
        assert raw.sample(0.3, 1).user.tolist() == raw.sample(0.3, 1).user.tolist()
        assert raw.sample(0.3, 1).timestamp.tolist() != raw.sample(0.3, 2).timestamp.tolist()
        assert raw.sample(0.3, 1).fingerprint != raw.sample(0.3, 2).fingerprint
        assert raw.sample(1, 1) is raw

    @pytest.mark.parametrize("share", [0, -1, 1.1, float("nan")])
    def test_refuses_shares_out_of_range(self, raw, share):
        with pytest.raises(InputError, match="above 0 and at most 1"):
            raw.sample(share, 0)
