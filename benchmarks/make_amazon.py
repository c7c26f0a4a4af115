"""Generates reviews_Electronics_5.json.gz and meta_Electronics.json.gz as J. McAuley published them, of any size.

    python -m benchmarks.make_amazon FOLDER                                        the published size, 0.7 GB
    python -m benchmarks.make_amazon FOLDER --reviews 20000 --users 1000 --items 400 --meta 3000

Reviews are JSON objects, metadata Python literals, with all the entries that the originals have and texts of their
length; about four of five reviews are positive, times are whole days from 1999 to 2014, prices and descriptions are
often missing, and a few reviewed items have no metadata. Every user and item has about five reviews or more, some far
more. The absence of a positive follows `benchmarks.planted`: an item's style shows in its categories, a user's taste in
nothing but what they liked. The probability of each review to be a positive stands in planted_probability.npy.
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from benchmarks.planted import Skewed, hint, planted_probability
from experiment.arguments import Parser, folder, number
from experiment.script import run
from preprocessing.amazon import META, PUBLISHED_ROWS, REVIEWS
from preprocessing.planted import PLANTED

USERS, ITEMS = 192_403, 63_001
CORE = 5
NEGATIVE_RATE = 0.2
NO_PRICE, NO_DESCRIPTION, NO_META = 0.22, 0.15, 0.0005  # shares
FIRST_DAY, DAYS = 10_623, 5_600  # since 1970: February 1999 to June 2014
SECTIONS = ("Computers & Accessories", "Camera & Photo", "Audio & Video", "Accessories & Supplies", "Bob's Picks")
CHUNK_ROWS = 50_000
WORDS = (
    "a",
    "it",
    "and",
    "great",
    "cable",
    "sound",
    "don't",
    "works",
    '"premium"',
    "1/2",
    "café",
    "\u201cbest\u201d",
    "ever",
)
LETTERS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def make_amazon(
    folder: Path,
    reviews: int = PUBLISHED_ROWS[REVIEWS],
    users: int = USERS,
    items: int = ITEMS,
    meta: int = PUBLISHED_ROWS[META],
    seed: int = 0,
    negative_rate: float = NEGATIVE_RATE,
) -> Path:
    """Writes both files and the planted probabilities into `folder`. Equal arguments give equal files."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    category = rng.integers(0, 40, max(items, meta))
    style, good = hint(rng, category[:items] % 2), rng.random(items) < 0.5
    user, item = _pairs(rng, reviews, users, items)
    taste = rng.integers(0, 2, users)
    probability = 1 - planted_probability(taste[user] != style[item], ~good[item], negative_rate)
    liked = rng.random(len(user)) < probability
    stars = np.where(liked, 4 + (rng.random(len(user)) < 0.75), rng.integers(1, 4, len(user)))
    user_ids, item_ids = _ids(rng, "A", 13, users), _ids(rng, "B00", 7, max(items, meta))
    np.save(folder / PLANTED, probability)
    _write_reviews(folder / REVIEWS, rng, user_ids[user], item_ids[item], stars)
    _write_meta(folder / META, rng, item_ids, category, items, meta)
    return folder


def _pairs(rng: np.random.Generator, count: int, users: int, items: int) -> tuple[np.ndarray, np.ndarray]:
    """Distinct pairs in random order: `CORE` of each user and of each item first, then skewed ones."""
    activity, popularity = Skewed(rng, users, 0.8), Skewed(rng, items, 1.2)
    core = (
        np.repeat(np.arange(users), CORE) * items + popularity.draw(rng, CORE * users),
        activity.draw(rng, CORE * items).astype(np.int64) * items + np.repeat(np.arange(items), CORE),
    )
    pairs = np.unique(np.concatenate(core))
    while len(pairs) < count:
        more = activity.draw(rng, count).astype(np.int64) * items + popularity.draw(rng, count)
        pairs = np.concatenate([pairs, rng.permutation(np.setdiff1d(more, pairs))[: count - len(pairs)]])
    return np.divmod(rng.permutation(pairs)[:count], items)


def _ids(rng: np.random.Generator, prefix: str, digits: int, count: int) -> np.ndarray:
    """(count,) distinct texts of letters and digits."""
    number = rng.permutation(count)[:, None] * 1_000_003 + 36**5  # spread out, so that more digits than the last differ
    return np.char.add(prefix, LETTERS[number // 36 ** np.arange(digits)[::-1] % 36].view(f"U{digits}")[:, 0])


def _texts(rng: np.random.Generator, count: int, words: int) -> list[str]:
    """Sentences of about so many words."""
    return [" ".join(rng.choice(WORDS, max(3, int(rng.exponential(words))))) for _ in range(count)]


def _write_reviews(path: Path, rng: np.random.Generator, user: np.ndarray, item: np.ndarray, stars: np.ndarray) -> None:
    texts, summaries = (
        np.array([json.dumps(text) for text in _texts(rng, count, words)], dtype=object)
        for count, words in ((2000, 130), (500, 4))
    )
    with gzip.open(path, "wt", encoding="ascii", compresslevel=1) as file:
        for start in range(0, len(user), CHUNK_ROWS):
            rows = slice(start, start + CHUNK_ROWS)
            size = len(user[rows])
            day = FIRST_DAY + (DAYS * rng.random(size) ** 0.4).astype(np.int64)  # more and more every year
            date = day.astype("datetime64[D]").astype(str)
            helpful = rng.integers(0, 5, size)
            columns = (user[rows], item[rows], texts[rng.integers(2000, size=size)], stars[rows], helpful, day, date)
            summary = summaries[rng.integers(500, size=size)]
            file.writelines(
                f'{{"reviewerID": "{u}", "asin": "{i}", "reviewerName": "Bob \\"B.\\" {h}", "helpful": [{h}, {h + 1}], '
                f'"reviewText": {t}, "overall": {s}.0, "summary": {m}, '
                f'"unixReviewTime": {d * 86_400}, "reviewTime": "{w[5:7]} {w[8:]}, {w[:4]}"}}\n'
                for u, i, t, s, h, d, w, m in zip(*columns, summary, strict=True)
            )


def _write_meta(
    path: Path, rng: np.random.Generator, ids: np.ndarray, category: np.ndarray, items: int, count: int
) -> None:
    """One Python dict a line, reviewed items among the others, entries in an order that differs."""
    descriptions = _texts(rng, 1000, 90)
    order = rng.permutation(count)
    order = order[(order >= items) | (rng.random(count) >= NO_META)]
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        for row in order.tolist():
            luck = rng.random(4).tolist()
            entry = {"asin": str(ids[row]), "imUrl": f"http://images.example.com/{row}.jpg"}
            if luck[0] >= NO_DESCRIPTION:
                entry["description"] = descriptions[int(luck[1] * 1000)]
            entry["categories"] = _category_paths(int(category[row]))
            entry["title"] = f'Bob\'s "Best" No. {row}' if luck[1] < 0.1 else f"Thing No. {row}"
            if luck[2] >= NO_PRICE:
                entry["price"] = round(10 ** (0.5 + 2 * luck[3]), 2)
            entry["salesRank"] = {SECTIONS[row % 5]: row}
            also = np.random.default_rng(row).integers(0, count, int(luck[0] * 60)).tolist()
            entry["related"] = {"also_bought": ids[also].tolist(), "buy_after_viewing": ids[also[:4]].tolist()}
            entry["brand"] = f"Brand {row % 97}"
            if luck[1] < 0.3:
                entry = dict(reversed(entry.items()))
            file.write(f"{entry!r}\n")


def _category_paths(category: int) -> list[list[str]]:
    paths = [["Electronics", SECTIONS[category % 5], f"Kind {category}"]]
    return paths if category % 3 else [*paths, ["Electronics", "Bargains"]]


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add, count = parser.add_argument, number(int, 1)
    add("folder", type=folder)
    add("--reviews", type=count, default=PUBLISHED_ROWS[REVIEWS], metavar="N")
    add("--users", type=count, default=USERS, metavar="N")
    add("--items", type=count, default=ITEMS, metavar="N", help="with reviews")
    add("--meta", type=count, default=PUBLISHED_ROWS[META], metavar="N", help="lines of metadata")
    add("--seed", type=number(int, 0), default=0)
    rate = number(float, above=0, most=0.45)
    add("--negative_rate", type=rate, default=NEGATIVE_RATE, help="at most 0.45")
    print(f"Written to {make_amazon(**vars(parser.parse_args()))}")


if __name__ == "__main__":
    run(main)
