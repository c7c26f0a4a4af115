"""Generates raw_sample.csv, ad_feature.csv and user_profile.csv in Alibaba's formats, of any size, with planted clicks.

    python -m benchmarks.make_taobao FOLDER                                        the published size, 1.1 GB
    python -m benchmarks.make_taobao FOLDER --rows 300000 --profiles 10000 --ads 8000 --gzip

The marginal counts are those of the published files: rows, levels of every feature, shares of empty values, the click
rate, eight days from 2017-05-06 in China. So are the quirks: a trailing space in a header, NULL and empty brands, empty
levels, users without a profile; and a few ads without a feature row. Clicks follow `benchmarks.planted`: a user's taste
shows in gender and age, an ad's style in its category, and a click is likelier at one of the two positions. The
probability of each row stands in planted_probability.npy, from which the best possible AUC follows.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from benchmarks.planted import Skewed, hint, planted_probability
from experiment.arguments import Parser, folder, number
from experiment.script import run
from preprocessing.planted import PLANTED
from preprocessing.taobao import PUBLISHED_ROWS

USERS_PER_PROFILE = 1_141_729 / 1_061_768
ADS_WITHOUT_FEATURES = 0.001  # share
CATEGORIES_PER_AD, CAMPAIGNS_PER_AD, CUSTOMERS_PER_AD, BRANDS_PER_AD = (
    count / 846_811 for count in (6_769, 423_436, 255_875, 99_815)
)
NULL_BRANDS, EMPTY_BRANDS, EMPTY_PVALUES, EMPTY_CLASSES = 0.28, 0.01, 0.542, 0.325
CLICK_RATE = 0.0514
PIDS, PID_FACTOR = ("430548_1007", "430539_1007"), (0.85, 1.15)
FIRST_SECOND, DAYS = 1_494_000_000, 8  # 2017-05-06 00:00 in China
CHUNK_ROWS = 1_000_000


def make_taobao(
    folder: Path,
    rows: int = PUBLISHED_ROWS["raw_sample.csv"],
    profiles: int = PUBLISHED_ROWS["user_profile.csv"],
    ads: int = PUBLISHED_ROWS["ad_feature.csv"],
    seed: int = 0,
    compress: bool = False,
    click_rate: float = CLICK_RATE,
) -> Path:
    """Writes the three files and the planted probabilities into `folder`. Equal arguments give equal files."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    users = round(profiles * USERS_PER_PROFILE)
    all_ads = ads + max(1, round(ads * ADS_WITHOUT_FEATURES))
    taste = rng.integers(0, 2, users)
    category = rng.integers(0, max(2, round(CATEGORIES_PER_AD * ads)), all_ads)
    style = hint(rng, category % 2)
    good = rng.random(all_ads) < 0.5
    user_ids, ad_ids = rng.permutation(users) + 1, rng.permutation(all_ads) + 1
    _write(folder / "user_profile.csv", compress, [_profiles(rng, user_ids[:profiles], taste[:profiles])])
    _write(folder / "ad_feature.csv", compress, [_ads(rng, ad_ids[:ads], category[:ads])])
    planted = np.lib.format.open_memmap(folder / PLANTED, mode="w+", dtype=np.float32, shape=(rows,))
    activity, popularity = Skewed(rng, users, 1.0), Skewed(rng, all_ads, 1.5)

    def log():
        for start in range(0, rows, CHUNK_ROWS):
            size = min(CHUNK_ROWS, rows - start)
            user = activity.draw(rng, size)
            ad = popularity.draw(rng, size)
            pid = rng.integers(0, 2, size)
            probability = planted_probability(taste[user] == style[ad], good[ad], click_rate)
            probability *= np.array(PID_FACTOR, dtype=np.float32)[pid]
            planted[start : start + size] = probability
            clicked = (rng.random(size) < probability).astype(np.int8)
            yield {
                "user": user_ids[user],
                "time_stamp": FIRST_SECOND + rng.integers(0, DAYS * 86_400, size),
                "adgroup_id": ad_ids[ad],
                "pid": pa.DictionaryArray.from_arrays(pid.astype(np.int8), PIDS).cast(pa.string()),
                "nonclk": 1 - clicked,
                "clk": clicked,
            }

    _write(folder / "raw_sample.csv", compress, log())
    planted.flush()
    return folder


def _profiles(rng: np.random.Generator, ids: np.ndarray, taste: np.ndarray) -> dict:
    count = len(ids)
    gender, young = hint(rng, taste), hint(rng, taste)
    return {
        "userid": ids,
        "cms_segid": rng.integers(0, 97, count),
        "cms_group_id": rng.integers(0, 13, count),
        "final_gender_code": 1 + gender,
        "age_level": rng.integers(0, 3, count) + 3 * young + rng.integers(0, 2, count) * young,
        "pvalue_level": _with_gaps(rng, rng.integers(1, 4, count), EMPTY_PVALUES),
        "shopping_level": rng.integers(1, 4, count),
        "occupation": rng.integers(0, 2, count),
        "new_user_class_level ": _with_gaps(rng, rng.integers(1, 5, count), EMPTY_CLASSES),
    }


def _ads(rng: np.random.Generator, ids: np.ndarray, category: np.ndarray) -> dict:
    count = len(ids)

    def levels(per_ad: float) -> np.ndarray:
        return rng.integers(1, max(2, round(per_ad * count)) + 1, count)

    kind = rng.random(count)
    brand = pa.array(levels(BRANDS_PER_AD)).cast(pa.string())
    brand = pc.if_else(pa.array(kind < NULL_BRANDS), "NULL", brand)
    return {
        "adgroup_id": ids,
        "cate_id": category + 1,
        "campaign_id": levels(CAMPAIGNS_PER_AD),
        "customer": levels(CUSTOMERS_PER_AD),
        "brand": pc.if_else(pa.array(kind > 1 - EMPTY_BRANDS), "", brand),
        "price": np.round(np.exp(rng.normal(5, 1.5, count)), 2),
    }


def _with_gaps(rng: np.random.Generator, values: np.ndarray, share: float) -> pa.Array:
    return pa.array(values, mask=rng.random(len(values)) < share)


def _write(path: Path, compress: bool, chunks: Iterable[dict]) -> None:
    """Chunks of columns as comma-separated lines without quotes, under a header."""
    options = arrow_csv.WriteOptions(include_header=False, quoting_style="none")
    path = path.with_name(f"{path.name}.gz") if compress else path
    with gzip.open(path, "wb", compresslevel=1) if compress else open(path, "wb") as file:
        for number, columns in enumerate(chunks):
            if number == 0:
                file.write(f"{','.join(columns)}\n".encode())
            arrow_csv.write_csv(pa.table(columns), file, options)


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add, count = parser.add_argument, number(int, 1)
    add("folder", type=folder)
    for option, name in (("--rows", "raw_sample.csv"), ("--profiles", "user_profile.csv"), ("--ads", "ad_feature.csv")):
        add(option, type=count, default=PUBLISHED_ROWS[name], metavar="N", help=f"lines of {name}")
    add("--seed", type=number(int, 0), default=0)
    add("--click_rate", type=number(float, above=0, most=0.4), default=CLICK_RATE, help="at most 0.4")
    add("--gzip", dest="compress", action="store_true", help="write .csv.gz")
    print(f"Written to {make_taobao(**vars(parser.parse_args()))}")


if __name__ == "__main__":
    run(main)
