"""Runs made by hand, for what tables say of them."""

from __future__ import annotations

import pandas as pd

SPREAD = [0.0, 0.0004, -0.0004, 0.0002, -0.0002]  # over five seeds; mean 0


def runs(protocol: str = "holdout", variant: str = "", validation: dict | None = None, **aucs) -> pd.DataFrame:
    """One row a model and seed 0, 1, ... with these test AUCs. validation: model -> AUC, else its first test AUC."""
    return pd.DataFrame(
        {
            "protocol": protocol,
            "model": model,
            "variant": variant,
            "seed": seed,
            "auc": auc,
            "logloss": 0.3 + 0.0001 * seed,
            "validation_auc": (validation or {}).get(model, values[0]),
        }
        for model, values in aucs.items()
        for seed, auc in enumerate(values)
    )


def typed(text: str) -> str:
    """A text of the report as one types it: with plain spaces where no line ends at one."""
    return text.replace("\u00a0", " ")


def rows_of(text: str) -> list[str]:
    """The rows of the tables of a report, typed, without their heads and what stands below them."""
    lines = typed(text).splitlines()
    heads = {place + shift for place, line in enumerate(lines) if line.startswith("| ---") for shift in (-1, 0)}
    return [line for place, line in enumerate(lines) if line.startswith("|") and place not in heads]


def five(mean: float, spread=SPREAD) -> list[float]:
    return [mean + part for part in spread]
