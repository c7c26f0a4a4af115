"""Markdown tables of the tuning: what is tried for each model, and what came of it."""

from __future__ import annotations

from leaderboard.markdown import decimal_text, one_below_the_other, table
from leaderboard.settings import Settings, text_of
from leaderboard.tuning.run import Tuned
from leaderboard.tuning.trials import BASE_NAME, SEARCHES, TRIALS
from model import MODELS


def searches_table() -> str:
    """What each trial of each model changes."""
    rows = []
    for model in (name for name in MODELS if name in SEARCHES):
        search = SEARCHES[model]
        changes = [search.first, *((change,) for change in search.then), search.temporal]
        rows.append([MODELS[model].title, *map(_changes, changes)])
    return table(["model", "1, 2", "3", "4", "5, 6 (`temporal`)"], rows)


def _changes(changes: tuple[Settings, ...]) -> str:
    """
    >>> _changes(({"lr": 0.1}, {"lr": 0.2})), _changes(({}, {"lr": 0.1}))
    ('`lr` 0.1, 0.2', 'as it is, `lr` 0.1')
    """
    names = {name for change in changes for name in change}
    if len(names) == 1 and len(changes) > 1 and all(changes):
        name = names.pop()
        return f"`{name}` {', '.join(_value(change, name) for change in changes)}"
    return ", ".join(
        ", ".join(f"`{name}` {_value(change, name)}" for name in change) or "as it is" for change in changes
    )


def _value(change: Settings, name: str) -> str:
    return text_of({name: change[name]}).partition("=")[2]


def tuning_table(tuned: list[Tuned]) -> str:
    """One row a model: the validation AUC of each trial, the best of a protocol in bold; then the chosen settings."""
    if not tuned:
        return "No trial has run yet."
    rows, chosen = [], []
    for entry in tuned:
        best = _best_places(entry)
        aucs = [decimal_text(outcome.auc) for _, outcome in entry.trials]
        cells = [f"**{auc}**" if place in best else auc for place, auc in enumerate(aucs)]
        cells += [""] * (TRIALS - len(cells))
        rows.append([MODELS[entry.model].title, *cells])
        chosen.append([MODELS[entry.model].title, _chosen(entry)])
    done = [outcome for entry in tuned for _, outcome in entry.trials]
    versions = ", ".join(sorted({outcome.sources[:12] for outcome in done}))
    total = TRIALS * len(SEARCHES)
    heads = ["validation AUC", *map(str, range(1, TRIALS + 1))]
    settings = [row for row in chosen if row[1]]
    return one_below_the_other(
        table(heads, rows),
        table(["model", "chosen, beside the base"], settings),
        f"{len(done)} of {total} trials; sources {versions}.",
    )


def _best_places(entry: Tuned) -> set[int]:
    """Of the best trial of each protocol, the first of equal ones, as `chain` decides."""
    best: dict[str, int] = {}
    for place, (trial, outcome) in enumerate(entry.trials):
        if outcome.auc > (entry.trials[best[trial.protocol]][1].auc if trial.protocol in best else -1.0):
            best[trial.protocol] = place
    return set(best.values())


def _chosen(entry: Tuned) -> str:
    if entry.chosen is None:
        return ""
    return f"`{text_of(SEARCHES[entry.model].changed(entry.chosen)) or BASE_NAME}`"
