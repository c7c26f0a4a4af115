"""Whatever type stores a column: the same values are the same data set, all the way to the index, or are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frame_helpers import CATEGORIES, ITEMS, LISTS, LOG, NAMES, NUMBERS, USERS, build, repeated
from helpers import as_lists
from serving_helpers import random_model, ranker_of
from storage_types import TEXTS, WHOLE, arrow, nullable

from foundation.errors import InputError
from preprocessing.frames import raw_from_frames

HUGE = 2**53


def texts(series: pd.Series) -> list[str]:
    return [f"t{value}" for value in series]


class TestIds:
    """Users, items and the log may each store ids in another way."""

    @pytest.mark.parametrize("kind", WHOLE)
    @pytest.mark.parametrize("where", ["items", "log"])
    def test_whole_numbers_are_the_same_data(self, kind, where):
        stored = lambda frame: frame.assign(i=WHOLE[kind](frame["i"].tolist()))  # noqa: E731
        items, log = (stored(ITEMS), LOG) if where == "items" else (ITEMS, stored(LOG))
        raw = build(items=items, interactions=log).raw
        assert raw.fingerprint == build().raw.fingerprint
        assert raw.items["i"].tolist() == ITEMS["i"].tolist()
        assert {type(one) for one in raw.items["i"].tolist()} == {int}

    @pytest.mark.parametrize("kind", TEXTS)
    @pytest.mark.parametrize("where", ["items", "log"])
    def test_texts_are_the_same_data(self, kind, where):
        plain = {"items": ITEMS.assign(i=texts(ITEMS["i"])), "log": LOG.assign(i=texts(LOG["i"]))}
        stored = {
            name: frame.assign(i=TEXTS[kind](frame["i"].tolist())) if where == name else frame
            for name, frame in plain.items()
        }
        raw = build(items=stored["items"], interactions=stored["log"]).raw
        assert raw.fingerprint == build(items=plain["items"], interactions=plain["log"]).raw.fingerprint

    @pytest.mark.parametrize("kind", [*(("whole", kind) for kind in WHOLE), *(("text", kind) for kind in TEXTS)])
    def test_without_a_table(self, kind):
        make = WHOLE[kind[1]] if kind[0] == "whole" else lambda values: TEXTS[kind[1]](texts(values))
        data = build(items=None, interactions=LOG.assign(i=make(LOG["i"].tolist())))
        first = list(dict.fromkeys(LOG["i"].tolist() if kind[0] == "whole" else texts(LOG["i"])))
        assert data.raw.items["i"].tolist() == first

    @pytest.mark.parametrize("kind", ["Int64", "arrow uint16", "float64", "categorical", "uint64", "mixed objects"])
    def test_to_the_index_and_back(self, kind, tmp_path):
        stored = lambda frame: frame.assign(i=WHOLE[kind](frame["i"].tolist()))  # noqa: E731
        data = build(items=stored(ITEMS), interactions=stored(LOG))
        ranker = ranker_of(tmp_path, random_model("dssm", data), data)
        asked = {"u": "u1", "device": "tv", "hour": 1.0}
        assert set(ranker.rank(asked).items.tolist()) == set(ITEMS["i"].tolist())
        given = WHOLE[kind]([10, 40])
        assert set(ranker.rank(asked, candidates=given).items.tolist()) == {10, 40}
        ranker.upsert([{"i": given.iloc[0], "price": 3.0}])
        ranker.delete(given)
        assert set(ranker.rank(asked).items.tolist()) == set(ITEMS["i"].tolist()) - {10, 40}

    @pytest.mark.parametrize(
        ("ids", "message"),
        [
            (ITEMS["i"] + 0.5, r"Column 'i' of items must hold ids.* Received: 0.5 \(float64\) at row 0"),
            (np.where(ITEMS["i"] == 20, np.inf, ITEMS["i"]), "Received: inf .* at row 2"),
            (ITEMS["i"].to_numpy(float) + HUGE, f"floats below {HUGE} only.* Received: {HUGE}.0"),
            ((ITEMS["i"].to_numpy() + 2**24).astype("float32"), f"floats below {2**24} only"),
            (ITEMS["i"].to_numpy(np.uint64) + np.uint64(2**63), f"Received: {2**63}"),
            (pd.Series([2**70 + n for n in range(15)], dtype=object), f"Received: {2**70}"),
            ([n % 2 == 0 for n in range(15)], "Received: True"),
            ([b"%d" % n for n in range(15)], "Received: b'0'"),
            ([*range(14), "14"], "Received: '14' .* at row 14"),
            ([date(2000, 1, 1 + n) for n in range(15)], "must hold ids"),
            ([(n,) for n in range(15)], "must hold ids"),
            ([Decimal(n) / 2 for n in range(15)], "Received: Decimal"),
            (pd.Series([*map(str, range(14)), "x\ud800"], dtype=object), "half of a surrogate pair"),
            ([*map(float, range(14)), np.nan], "i is missing in 1 row of items, the first at row 14"),
            (nullable([*range(14), None], "Int64"), "i is missing in 1 row of items, the first at row 14"),
            (pd.Series([1, 1.0, *range(2, 15)], dtype=object), "1 id occurs .* 'i' of items: 1. .* at row 1."),
        ],
    )
    def test_refused_before_training(self, ids, message):
        with pytest.raises(InputError, match=message):
            build(items=ITEMS.assign(i=ids))

    def test_floats_of_the_log_that_may_be_another_id(self):
        items = ITEMS.assign(i=HUGE + np.arange(15))
        log = LOG.assign(i=(HUGE + LOG["i"] // 10).astype(float))
        with pytest.raises(InputError, match=r"Column 'i' of interactions must hold ids.*Received: 90071992547"):
            build(items=items, interactions=log)
        whole = build(items=items, interactions=log.assign(i=HUGE + LOG["i"] // 10))
        assert whole.raw.item.tolist() == (LOG["i"] // 10).tolist()

    def test_the_row_of_the_log_is_named(self):
        wrong = pd.Series([0.0, 0.0, 0.0, 0.5] * 60)
        with pytest.raises(InputError, match=r"Column 'i' of interactions .* 0.5 \(float64\) at row 3"):
            build(interactions=LOG.assign(i=wrong))
        with pytest.raises(InputError, match="u is missing in 60 rows of interactions, the first at row 1"):
            build(users=None, interactions=LOG.assign(u=["a", None, "b", "c"] * 60))


class TestFeatures:
    @pytest.mark.parametrize("name", CATEGORIES)
    def test_categories(self, name):
        column, known, rows = CATEGORIES[name]
        data = build(users=USERS.assign(x=repeated(column)))
        assert data.vocabularies["x"].tolist() == known
        assert {type(value) for value in data.vocabularies["x"].tolist()} == {type(value) for value in known}
        assert data.users.values["x"][:3].tolist() == [0 if row is None else 1 + known.index(row) for row in rows]

    @pytest.mark.parametrize("name", NUMBERS)
    def test_numbers_by_guess(self, name):
        data = build(users=USERS.assign(x=repeated(NUMBERS[name])))
        scaler = data.scalers["x"]
        assert (scaler.low, scaler.high) == (-2.0, 1.5)
        assert data.users.values["x"][[0, 2]].tolist() == [1.0, 0.0]
        assert 0 < data.users.values["x"][1] < 1

    @pytest.mark.parametrize("name", LISTS)
    def test_lists_by_guess(self, name):
        data = build(users=USERS.assign(x=repeated(LISTS[name])))
        assert data.vocabularies["x"].tolist() == ["a", "b"]
        rows = as_lists(data.users.lists["x"].batch(data.user[:0].new_tensor([0, 1, 2, 3])))
        assert [sorted(row) for row in rows] == [[1, 2], [], [], [1]]

    def test_whole_numbers_in_arrow_lists_with_gaps_stay_exact(self):
        column = arrow([[HUGE + 1, None], [HUGE + 2]] * 10, pa.list_(pa.int64())).set_axis(USERS.index)
        assert build(users=USERS.assign(x=column)).vocabularies["x"].tolist() == [HUGE + 1, HUGE + 2]

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (
                [[0.5, 0.25], [1.0]],
                "lists of numbers of one length. Received: lists of 1, 2 numbers. Lists of categories",
            ),
            ([np.array([1.0, np.nan])], "20 vectors with a number that is missing, infinite or .* the first at row 0"),
            ([[True]], "entries of types bool"),
            ([["a", 1]], "entries of types int, str"),
            ([[["a"]]], "entries of types list"),
            ([np.zeros((2, 2), int), [1]], "must hold lists of texts"),
            ([[b"a"]], "entries of types bytes"),
            ([[date(2000, 1, 1)]], "entries of types date"),
            (arrow([[0.5], [0.5, 1.0]], pa.list_(pa.float32())), "lists of 1, 2 numbers"),
            (arrow([{"a": 1}], pa.struct([("a", pa.int64())])), "must hold texts, or numbers"),
            (arrow([[("a", 1)]], pa.map_(pa.string(), pa.int64())), "entries of types tuple"),
            ([b"a"], r"must hold texts, or numbers.*Received: bytes.*str.decode"),
            ([1 + 2j], "must hold texts, or numbers.*Received: complex"),
            ([Decimal(1), "a"], "Received: Decimal, str"),
            ([True, 1], "Received: bool, int"),
            ([timedelta(1)], r"Received: Timedelta.*total_seconds"),
            ([date(2000, 1, 1)], r"Received: date.*pd.to_datetime"),
            (arrow([date(2000, 1, 1)], pa.date32()), "holds datetimes"),
            (arrow([datetime(2000, 1, 1)], pa.timestamp("us")), "holds datetimes"),
            (pd.period_range("2000", periods=1, freq="D"), "Received: Period"),
            (pd.cut([1.0, 2.0], 2), "Received: Interval"),
            (pd.Series(["x\ud800"], dtype=object), "half of a surrogate pair"),
            ([["x\ud800"]], "half of a surrogate pair"),
        ],
    )
    def test_refused_by_guess(self, column, message):
        with pytest.raises(InputError, match=message):
            build(users=USERS.assign(x=repeated(column)))

    @pytest.mark.parametrize(
        "column",
        [
            pd.to_datetime(["1990-01-01", None]),
            pd.to_datetime(["1990-01-01", None], utc=True),
            pd.to_datetime(["1990-01-01", "1991-01-01"]).astype("datetime64[s]"),
            pd.Series([date(1990, 1, 1), None], dtype=object),
            pd.Series([datetime(1990, 1, 1), datetime(1990, 1, 1, tzinfo=UTC)], dtype=object),
            arrow([date(1990, 1, 1), None], pa.date32()),
            arrow([datetime(1990, 1, 1), None], pa.timestamp("ms", "UTC")),
            pd.to_timedelta([1, None], unit="D"),
            arrow([timedelta(1), None], pa.duration("s")),
            pd.period_range("1990", periods=2, freq="M"),
            np.array([1j, 2j]),
            ["1.5", "2.5"],
            nullable(["1.5", None], "string"),
            pd.Categorical(["1.5", "2.5"]),
            [b"1", b"2"],
            [[1.0], [2.0]],
            [10**400, 1],
        ],
        ids=str,
    )
    def test_no_numbers(self, column):
        with pytest.raises(
            InputError, match=r"Column 'x' of users (must hold numbers to be dense|holds a whole number)"
        ):
            build(users=USERS.assign(x=repeated(column)), kinds={"x": "dense"})

    @pytest.mark.parametrize("value", [float(HUGE), np.inf, -float(HUGE)])
    def test_floats_that_are_no_single_category(self, value):
        with pytest.raises(InputError, match=r"Column 'x' of users holds floats of .* or more as categories.*row 1"):
            build(users=USERS.assign(x=repeated([1.0, value])), kinds={"x": "sparse"})

    def test_the_advice_for_datetimes_works(self):
        for times in (pd.to_datetime(["1990-01-01", None]), pd.Series([date(1990, 1, 1), None], dtype=object)):
            frame = pd.DataFrame({"born": repeated(times)})
            days = (pd.to_datetime(frame["born"], utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
            data = build(users=USERS.assign(born=days.to_numpy()))
            assert (data.scalers["born"].low, data.scalers["born"].fill) == (7305.0, 7305.0)


START = datetime(2026, 1, 1)
MOMENTS = [START + timedelta(seconds=n) for n in range(240)]
SECONDS = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in MOMENTS]
IN_ZONES = [pd.Timestamp(moment, tz="UTC").tz_convert(("UTC", "Asia/Tokyo")[n % 2]) for n, moment in enumerate(MOMENTS)]
TIMES = {
    **{unit: pd.Series(MOMENTS).astype(f"datetime64[{unit}]") for unit in ("s", "ms", "us", "ns")},
    "a zone": pd.Series(MOMENTS).dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
    "datetimes": pd.Series(MOMENTS, dtype=object),
    "datetimes of zones": pd.Series(IN_ZONES, dtype=object),
    "numpy objects": pd.Series([np.datetime64(moment) for moment in MOMENTS], dtype=object),
    "arrow": arrow(MOMENTS, pa.timestamp("ms")),
    "arrow with a zone": arrow(MOMENTS, pa.timestamp("ns", "Europe/Berlin")),
    "categorical": pd.Series(pd.Categorical(MOMENTS)),
    "uint64": pd.Series(np.array(SECONDS, dtype=np.uint64)),
    "Int64": nullable(SECONDS, "Int64"),
    "arrow int64": arrow(SECONDS, pa.int64()),
    "objects of integers": pd.Series(SECONDS, dtype=object),
}  # fmt: skip
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(240)]


class TestTimes:
    @pytest.mark.parametrize("kind", TIMES)
    def test_seconds(self, kind):
        assert build(interactions=LOG.assign(t=TIMES[kind])).raw.timestamp.tolist() == SECONDS

    @pytest.mark.parametrize(
        "days", [pd.Series(DAYS, dtype=object), arrow(DAYS, pa.date32()), arrow(DAYS, pa.date64())]
    )
    def test_days(self, days):
        assert build(interactions=LOG.assign(t=days)).raw.timestamp.tolist() == [
            SECONDS[0] + 86_400 * n for n in range(240)
        ]

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            (pd.Series([MOMENTS[0], None] * 120), "120 interactions have no t, the first at row 1. Fill or drop them"),
            (arrow([MOMENTS[0], None] * 120, pa.timestamp("s")), "120 interactions have no t, the first at row 1"),
            (pd.Series([1, None] * 120, dtype=object), "120 interactions have no t"),
            ([1.0, 2.0] * 120, "t must hold integer seconds or datetimes. Received: float64"),
            (pd.Series([1.0, 2] * 120, dtype=object), "Received: float, int"),
            ([True, False] * 120, "Received: bool"),
            (["2026-01-01"] * 240, "Received: str"),
            (pd.Series(["2026-01-01", START] * 120, dtype=object), "Received: datetime, str"),
            (pd.period_range("2026", periods=240, freq="D"), r"Received: period\[D\]"),
            (pd.to_timedelta(range(240), unit="s"), "Received: timedelta64"),
            (np.array([2**63] * 240, dtype=np.uint64), f"Received: {2**63}"),
            ([MOMENTS[0], MOMENTS[0].replace(tzinfo=UTC)] * 120, "times with a zone and times without"),
        ],
    )
    def test_refused(self, times, message):
        with pytest.raises(InputError, match=message):
            build(interactions=LOG.assign(t=pd.Series(times)))


class TestLabels:
    @pytest.mark.parametrize(
        "kind", ["bool", "boolean", "Int8", "float32", "object", "category", "bool[pyarrow]", "int8[pyarrow]"]
    )
    def test_zeros_and_ones_in_every_type(self, kind):
        assert build(interactions=LOG.assign(y=LOG["y"].astype(kind))).raw.label.tolist() == LOG["y"].tolist()

    @pytest.mark.parametrize("wrong", [2, -1, 0.5, "1", None, np.nan, 1 + 0j, b"1", pd.NaT])
    def test_anything_else(self, wrong):
        column = LOG["y"].astype(object)
        column.iloc[7] = wrong
        with pytest.raises(InputError, match=r"Labels must be 0 or 1. Received 1 other, the first .* at row 7"):
            build(interactions=LOG.assign(y=column))


class TestShapes:
    @pytest.mark.parametrize(
        "index", [[1] * 20, pd.MultiIndex.from_product([[0, 1], range(10)]), pd.Index(range(20), name="u")]
    )
    def test_the_index_does_not_matter(self, index):
        assert build(users=USERS.set_axis(index)).raw.fingerprint == build().raw.fingerprint
        assert build(interactions=LOG.set_axis([3] * 240)).raw.fingerprint == build().raw.fingerprint

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"interactions": LOG[:0]}, "interactions has no rows"),
            ({"interactions": LOG[:0], "users": None, "items": None}, "interactions has no rows"),
            ({"users": USERS[:0]}, "240 interactions have an id 'u' that is not in users"),
            ({"users": USERS.set_index("u")}, r"users has no column 'u'\. .*reset_index"),
            (
                {"users": pd.concat([USERS, USERS[["member"]]], axis=1)},
                "users has several columns named 'member'. Rename them. Received: 'u', ",
            ),
            ({"users": USERS.rename(columns={"income": 7})}, "users must have texts as names of columns, not 7"),
            ({"users": USERS.to_dict("list")}, "users must be a pandas DataFrame. Received: dict"),
            ({"interactions": None}, "interactions must be a pandas DataFrame. Received: NoneType"),
            ({"user_id": 3}, "interactions has no column 3. Received: "),
            ({"timestamp": "y"}, "a column for each of ids, label and time, not 'y' for two"),
        ],
    )
    def test_refused(self, changes, message):
        with pytest.raises(InputError, match=message):
            build(**changes)

    def test_the_frames_are_not_changed(self):
        before = [frame.copy(deep=True) for frame in (USERS, ITEMS, LOG)]
        raw_from_frames(USERS, ITEMS, LOG, **NAMES)
        for frame, copy in zip((USERS, ITEMS, LOG), before, strict=True):
            pd.testing.assert_frame_equal(frame, copy)
