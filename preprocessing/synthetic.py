"""Generated data in the shape of MovieLens, with planted preferences that only a user-item interaction explains.

Every user has one of two hidden tastes, every movie one of two hidden styles and one of two qualities:

    P(positive) = PROBABILITY[taste = style][quality]

Half of the movies are to either taste, so that a user alone says nothing about a label and a movie little, its quality:
logistic regression stays near AUC 0.57, while a two-tower model can reach `planted.best_auc`, which is below 1 for the
noise in the labels. Gender and age hint at the taste and genres at the style, so that neither needs a long history.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd

from foundation.errors import InputError
from preprocessing.movielens import SCHEMA
from preprocessing.raw import Ragged, RawData

# P(positive): not to the user's taste, or to it; poor movie or good one.
PROBABILITY = np.array([[0.08, 0.24], [0.80, 0.96]])
HINT = 0.85  # Probability that gender and age each tell the truth about the taste, and a genre about the style.

# MovieLens' age codes are the lower ends of age ranges.
YOUNG, OLD = (1, 18, 25), (35, 45, 50, 56)
OCCUPATIONS = 21
GENRES = (
    ("Action", "Adventure", "Crime", "Film-Noir", "Horror", "Sci-Fi", "Thriller", "War", "Western"),
    ("Animation", "Children's", "Comedy", "Documentary", "Drama", "Fantasy", "Musical", "Mystery", "Romance"),
)  # by style

FIRST_SECOND, LAST_SECOND = 956_703_932, 1_046_454_590  # of MovieLens-1M: April 2000 to February 2003
MAX_SESSIONS = 8
SESSION_SECONDS, TICK_SECONDS = 3600, 15


def synthetic_movielens(users: int = 3000, movies: int = 800, interactions: int = 300_000, seed: int = 0) -> RawData:
    """Distinct (user, movie) pairs in order of user and time. Equal arguments give equal data.

    Activity and popularity are skewed. A user comes in up to `MAX_SESSIONS` bursts, spread over three years.
    `best_score` holds P(positive) of each interaction.
    Raises `InputError` for fewer than 2 users or 4 movies, or more interactions than pairs.
    """
    if users < 2 or movies < 4 or not 1 <= interactions <= users * movies:
        raise InputError(
            "Synthetic data needs at least 2 users, 4 movies, and 1 to users * movies interactions. "
            f"Received: {users} users, {movies} movies, {interactions} interactions."
        )
    rng = np.random.default_rng(seed)
    activity, popularity = rng.lognormal(0, 0.7, users), rng.lognormal(0, 1, movies)
    taste = _balanced_groups(activity, 2)
    quality, style = np.divmod(_balanced_groups(popularity, 4), 2)
    user, movie = _sample_pairs(rng, activity, popularity, interactions)
    timestamp = _session_times(rng, user, users)
    order = np.lexsort((timestamp, user))
    user, movie, timestamp = user[order], movie[order], timestamp[order]
    probability = PROBABILITY[(taste[user] == style[movie]).astype(int), quality[movie]]
    label = (rng.random(interactions) < probability).astype(np.float32)
    user_frame, movie_frame = _user_frame(rng, taste), _movie_frame(rng, style)
    content = [user, movie, label, timestamp, *user_frame.to_numpy(), *movie_frame.to_numpy()]
    return RawData(
        name="synthetic-movielens",
        fingerprint=hashlib.sha256(b"".join(repr(part.tolist()).encode() for part in content)).hexdigest(),
        schema=SCHEMA,
        users=user_frame,
        items=movie_frame,
        user=user,
        item=movie,
        label=label,
        timestamp=timestamp,
        item_lists={"genres": Ragged.from_lists([text.split("|") for text in movie_frame["genres"]])},
        best_score=probability,
    )


def _balanced_groups(weight: np.ndarray, groups: int) -> np.ndarray:
    """weight: (n,) -> a group (n,) each, of about equal size and total weight: else rates would tell the group."""
    group = np.empty(len(weight), dtype=np.int64)
    group[np.argsort(weight)] = np.arange(len(weight)) % groups
    return group


def _sample_pairs(
    rng: np.random.Generator, activity: np.ndarray, popularity: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` distinct pairs, drawn with probability proportional to activity times popularity."""
    # The first `count` arrivals of exponential clocks with these rates are such a draw without replacement.
    arrival = rng.exponential(size=(len(activity), len(popularity))) / np.outer(activity, popularity)
    pairs = np.argpartition(arrival.ravel(), count - 1)[:count]
    user, movie = np.divmod(np.sort(pairs), len(popularity))
    return user.astype(np.int32), movie.astype(np.int32)


def _session_times(rng: np.random.Generator, user: np.ndarray, users: int) -> np.ndarray:
    """A second for each row, in one of its user's sessions; ticks make some of them equal."""
    session_start = rng.integers(FIRST_SECOND, LAST_SECOND - SESSION_SECONDS, size=(users, MAX_SESSIONS))
    sessions = rng.integers(2, MAX_SESSIONS, endpoint=True, size=users)
    session = rng.integers(sessions[user])
    tick = rng.integers(SESSION_SECONDS // TICK_SECONDS, size=len(user))
    return session_start[user, session] + tick * TICK_SECONDS


def _user_frame(rng: np.random.Generator, taste: np.ndarray) -> pd.DataFrame:
    count = len(taste)
    woman = (taste == 1) == (rng.random(count) < HINT)
    young = (taste == 1) == (rng.random(count) < HINT)
    return pd.DataFrame(
        {
            "user_id": np.arange(1, count + 1),
            "gender": np.where(woman, "F", "M"),
            "age": np.where(young, rng.choice(YOUNG, count), rng.choice(OLD, count)),
            "occupation": rng.integers(OCCUPATIONS, size=count),
            "zipcode": [f"{code:05d}" for code in rng.integers(100_000, size=count)],
        }
    )


def _movie_frame(rng: np.random.Generator, style: np.ndarray) -> pd.DataFrame:
    everything = [genre for group in GENRES for genre in group]
    genres = []
    for own in style:
        picks = [rng.choice(GENRES[own] if rng.random() < HINT else everything) for _ in range(rng.integers(1, 4))]
        genres.append("|".join(sorted(set(picks))))
    count = len(style)
    years = rng.integers(1930, 2001, size=count)
    return pd.DataFrame(
        {
            "movie_id": np.arange(1, count + 1),
            "title": [f"Synthetic Movie {number} ({year})" for number, year in enumerate(years, start=1)],
            "genres": genres,
        }
    )
