"""The three protocols by name, and the switches that each of them has (`docs/protocols.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from foundation.errors import InputError
from preprocessing.published_protocol import published
from preprocessing.raw import RawData, cut_by
from preprocessing.split_protocol import SMOOTHING, SplitProtocol, View, for_refit, random_split
from preprocessing.temporal_protocol import temporal

FOLDS = 5


@dataclass(frozen=True)
class Protocol:
    """make: of data, seed, the two switches and `refit`.

    validation_rows, statistics: the switches' choices, the default first; `make` says what they mean.
    refits: whether a model is by default trained anew on training and validation rows before it is tested.
    leaks: whether test labels leak by construction, as in the papers' releases.
    """

    make: Callable[[RawData, int, str, str, bool], SplitProtocol]
    validation_rows: tuple[str, ...]
    statistics: tuple[str, ...]
    refits: bool = False
    leaks: bool = False


def make_protocol(
    name: str,
    raw: RawData,
    seed: int,
    validation_rows: str | None = None,
    statistics: str | None = None,
    refit: bool = False,
) -> SplitProtocol:
    """Splits `raw` and says what each row may see. Depends on the arguments alone.

    validation_rows, statistics: of the choices that `PROTOCOLS` lists; None: the first.
    refit: training and validation rows are training rows, and there are no validation rows.
    Raises `InputError` for an unknown name or choice, statistics that nothing is made of, too few rows, or a split with
    a single class.
    """
    if name not in PROTOCOLS:
        raise InputError(f"Unknown protocol '{name}'. Known: {', '.join(PROTOCOLS)}.")
    protocol = PROTOCOLS[name]
    chosen = (
        switch(name, "validation_rows", validation_rows, protocol.validation_rows),
        switch(name, "statistics", statistics, protocol.statistics),
    )
    if chosen[1] != protocol.statistics[0] and not raw.schema.reads_labels:
        raise InputError(
            f"statistics={chosen[1]} does nothing for '{raw.name}': no feature is made from labels. Leave it out."
        )
    if name == "published" and raw.negatives is not None:
        raise InputError(
            f"'{raw.name}' is a log of positives alone, and the releases sample no negatives. Use holdout or temporal."
        )
    made = protocol.make(raw, seed, *chosen, refit)
    if raw.negatives is None:  # else there are none yet
        _require_both_classes(protocol, made.splits, raw)
    return made if raw.schema.reads_labels else replace(made, views=[])


def switch(protocol: str, option: str, given: str | None, known: tuple[str, ...]) -> str:
    """What is given, or the first of the protocol's choices. Raises `InputError` for one of another protocol."""
    if given is not None and given not in known:
        raise InputError(
            f"The {protocol} protocol has {option} {' or '.join(known)}. Received: {given}. Choose one of its own, or "
            "leave it out."
        )
    return given or known[0]


def _published(raw: RawData, seed: int, validation_rows: str, statistics: str, refit: bool) -> SplitProtocol:
    made = published(raw, seed, validation_rows, statistics)
    return for_refit(made) if refit else made


def holdout(raw: RawData, seed: int, validation_rows: str, statistics: str, refit: bool) -> SplitProtocol:
    """A random split; a training row reads the labels of the four folds of the training rows that it is not in, a row
    of the other splits those of all training rows. Raises `InputError` for a negative seed."""
    if seed < 0:
        raise InputError(f"The holdout protocol takes seeds of at least 0. Received: {seed}.")
    splits = random_split(len(raw), seed)
    if refit:
        splits = {"train": np.sort(np.concatenate([splits["train"], splits["validation"]])), "test": splits["test"]}
    train, scored = splits["train"], np.concatenate([rows for split, rows in splits.items() if split != "train"])
    fold = np.random.default_rng([seed, FOLDS]).permutation(len(train)) % FOLDS
    views = [View(train[fold == k], train[fold != k]) for k in range(FOLDS)]
    return SplitProtocol("holdout", splits, [*views, View(scored, train)], SMOOTHING)


PROTOCOLS: Mapping[str, Protocol] = {
    "published": Protocol(_published, ("tail", "random"), ("two_parts", "three_parts"), leaks=True),
    "holdout": Protocol(holdout, ("random",), ("frozen",)),
    "temporal": Protocol(temporal, ("known", "next"), ("frozen", "as_of"), refits=True),
}


def _require_both_classes(protocol: Protocol, splits: dict[str, np.ndarray], raw: RawData) -> None:
    for split, rows in splits.items():
        positives = int(np.count_nonzero(raw.label[rows]))
        if positives in (0, len(rows)):
            raise InputError(
                f"The {split} split has labels of one class only: {positives} positive of {len(rows)} rows. "
                f"AUC needs both. {_how_to_have_both(protocol, split, raw)}"
            )


def _how_to_have_both(protocol: Protocol, split: str, raw: RawData) -> str:
    cut = cut_by(raw.name)
    if len(np.unique(raw.label)) == 1 and not cut:
        return f"All {len(raw):,} labels of '{raw.name}' are {raw.label[0]:.0f}: check the column of labels."
    more = f"more rows ({', '.join(cut)})" if cut else "more rows"
    choices = protocol.validation_rows if split == "validation" else ()
    others = f"other validation rows ({' or '.join(choices)}), " if len(choices) > 1 else ""
    return f"Use {more}, {others}or another protocol."
