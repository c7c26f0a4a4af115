"""Writes the README's tables of models and of results, between their markers, from `MODELS` and `results/` alone.

python -m benchmarks.readme_tables
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from model import MODELS
from model.base import TwoTower
from preprocessing.protocol import PROTOCOLS

ROOT = Path(__file__).resolve().parent.parent
SEED = 1023


def models_table() -> str:
    """The names that `--model_name` takes."""
    lines = ["| `--model_name` | model | kind |", "|---|---|---|"]
    for key, entry in MODELS.items():
        names = ", ".join(f"`{name}`" for name in (key, *entry.aliases))
        kind = "two towers" if issubclass(entry.model_class, TwoTower) else "ranking"
        lines.append(f"| {names} | {entry.title} ({entry.source}) | {kind} |")
    return "\n".join(lines)


def results_table(folder: Path, dataset: str) -> str:
    """AUC / logloss / GAUC of every model that has a run, under each protocol, beside the paper's AUC / logloss."""
    heads = ["model", "paper", *(f"`{protocol}`{' (leaks)' * (protocol == 'published')}" for protocol in PROTOCOLS)]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for key, entry in MODELS.items():
        cells = [_scores(folder / dataset / protocol / key / f"seed{SEED}.json") for protocol in PROTOCOLS]
        if any(cells):
            paper = " / ".join(map(_short, entry.paper[dataset])) if dataset in entry.paper else ""
            lines.append(f"| {' | '.join([entry.title, paper, *cells])} |")
    return "\n".join(lines)


def _scores(path: Path) -> str:
    if not path.exists():
        return ""
    test = json.loads(path.read_text())["test"]
    return " / ".join(_short(test[name]) for name in ("auc", "logloss", "gauc"))


def _short(value: float) -> str:
    """0.9091 as .9091"""
    return f"{value:.4f}".removeprefix("0")


def filled(text: str, results: Path = ROOT / "results") -> str:
    """A text with what stands between its markers replaced."""
    tables = {"models": models_table(), "results": results_table(results, "ml-1m")}
    for name, table in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text = re.sub(pattern, lambda found, table=table: found[1] + table + found[2], text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(filled(readme.read_text()))
