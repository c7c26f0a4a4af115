"""AUC against the latency of a whole request, one point a model."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from leaderboard.report.theme import Theme, draw
from model import MODELS, find_model
from preprocessing.errors import InputError

CASES = ("features to top 100", "all candidates")
FOLDER = Path("figure")


def accuracies(folders: list[Path], protocol: str) -> dict[str, tuple[str, float]]:
    """model -> (data set, mean test AUC over its runs with default settings), from result files below the folders.

    ML-1M if it is there. A result file is `result.json` of a run folder or a file of
    `results/<dataset>/<protocol>/<model>/`.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    for path in (path for folder in folders for path in folder.rglob("*.json")):
        try:
            result = json.loads(path.read_text())
        except ValueError:
            continue
        if not isinstance(result, dict) or result.get("variant"):  # an ablation, or a trial
            continue
        if result.get("protocol") == protocol and result.get("model") in MODELS:
            runs = found.setdefault(result["dataset"], {}).setdefault(result["model"], {})
            runs[result["seed"]] = result["test"]["auc"]
    if not found:
        raise InputError(f"No result under protocol '{protocol}' in {', '.join(map(str, folders))}. Train some models.")
    dataset = "ml-1m" if "ml-1m" in found else max(found, key=lambda name: len(found[name]))
    return {model: (dataset, sum(runs.values()) / len(runs)) for model, runs in found[dataset].items()}


def plot(table: Path | None, folders: list[Path], protocol: str) -> Path:
    if table is None or not table.is_file():
        raise InputError(
            "Give --json FILE: a table that `python -m benchmarks.latency requests --json FILE` has written."
        )
    rows = [row for row in json.loads(table.read_text()) if row["case"] in CASES and row["precision"] == "float32"]
    items = 10_000 if any(row["items"] == 10_000 for row in rows) else max(row["items"] for row in rows)
    rows = [row for row in rows if row["items"] == items and row["threads"] == 1 and row["model"] in MODELS]
    auc = accuracies(folders, protocol)
    points = [(row["p50_ms"], auc[find_model(row["model"])][1], row["model"]) for row in rows if row["model"] in auc]
    if not points:
        raise InputError("No model has both a latency and an AUC.")
    data = f"{next(iter(auc.values()))[0]}, {protocol}"

    def paint(figure: Figure, theme: Theme) -> None:
        axis = figure.subplots()
        for place, (milliseconds, score, name) in enumerate(sorted(points, key=lambda point: point[1])):
            axis.plot(milliseconds, score, "o", color=theme.color_of(name), markersize=8, zorder=3)
            above = (8, 6) if place % 2 else (8, -13)  # in turn, so that neighbours' names stay apart
            title = MODELS[name].title
            axis.annotate(title, (milliseconds, score), above, textcoords="offset points", color=theme.color_of(name))
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel(f"p50 of a whole request in ms: {items:,} candidates, one thread")
        axis.set_ylabel(f"test AUC, {data}")
        axis.margins(0.15)
        axis.grid()
        figure.legend(handles=theme.families(), loc="outside lower center", ncols=3, frameon=False)

    return draw(FOLDER, "auc_latency", 4.4, paint)[0]
