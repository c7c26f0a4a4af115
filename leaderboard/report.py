"""What the README and `results/README.md` show of the benchmark: made from `results/` alone, nothing typed by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from leaderboard import tables
from leaderboard.architecture import draw_architectures
from leaderboard.figures import draw_all
from leaderboard.statistics import load_runs
from model import MODELS
from model.base import TwoTower
from preprocessing.errors import InputError
from preprocessing.protocol import PROTOCOLS
from training.report import GAUC_NOTE
from training.store import write_atomic

DATASET = "ml-1m"


def models_table() -> str:
    """The names that `--model_name` takes."""
    rows = []
    for key, entry in MODELS.items():
        names = ", ".join(f"`{name}`" for name in (key, *entry.aliases))
        kind = "two towers" if issubclass(entry.model_class, TwoTower) else "ranking"
        rows.append(f"| {names} | {entry.title} ({entry.source}) | {kind} |")
    return "\n".join(["| `--model_name` | model | kind |", "|---|---|---|", *rows])


def filled(text: str, runs: pd.DataFrame, dataset: str = DATASET) -> str:
    """A text with what stands between its markers, `<!-- name -->` and `<!-- /name -->`, made anew."""
    parts = {"models": models_table(), "results": tables.overview(runs, dataset)}
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(\n<!-- /{name} -->)"
        text = re.sub(pattern, lambda found, part=part: found[1] + part + found[2], text, flags=re.DOTALL)
    return text


def full_report(runs: pd.DataFrame, dataset: str) -> str:
    """`results/README.md`."""
    parts = [
        f"# Results on {dataset}",
        "Made by `python benchmark.py --report` from the files beside it; each file holds the command that repeats it.",
        f"{_provenance(runs)} Figures with ± are means over seeds with 95 % intervals (Student's t). RelaImpr is "
        f"(AUC - .5) / (AUC of DSSM - .5) - 1. {GAUC_NOTE}",
    ]
    for protocol in PROTOCOLS:
        if ((runs["protocol"] == protocol) & (runs["variant"] == "")).any():
            parts += [f"## {tables.PROTOCOL_TITLES[protocol]}", tables.leaderboard(runs, protocol, dataset)]
    parts += ["## From protocol to protocol", tables.steps(runs)]
    for ablation in tables.ablations_with_runs(runs):
        protocols = [name for name in PROTOCOLS if name in set(runs[runs["variant"] != ""]["protocol"])]
        table = tables.ablation_table(runs, ablation, protocols)
        note = "Differences to the defaults are paired by seed; bold: 0 lies outside the 95 % interval."
        parts += [f"## {ablation.title}", f"{ablation.question} {note}", table]
    return "\n\n".join(parts) + "\n"


def _provenance(runs: pd.DataFrame) -> str:
    versions = sorted({source[:12] for source in runs["sources"]})
    if len(versions) == 1:
        return f"{len(runs)} runs of one version of the code (sources {versions[0]})."
    return f"{len(runs)} runs of {len(versions)} versions of the code (sources {', '.join(versions)})."


def write_report(root: Path, dataset: str = DATASET) -> list[Path]:
    """Writes the tables of the README, `results/README.md` and the pictures. Raises `InputError` without results."""
    runs = load_runs(root / "results" / dataset)
    if runs.empty:
        raise InputError(
            f"There is no result in {root / 'results' / dataset}. Run benchmark.py without --report first."
        )
    readme, full = root / "README.md", root / "results" / "README.md"
    write_atomic(readme, filled(readme.read_text(), runs, dataset))
    write_atomic(full, full_report(runs, dataset))
    pictures = draw_all(runs, tables.ablations_with_runs(runs), dataset, root / "figure")
    return [readme, full, *pictures, *draw_architectures(root / "figure")]
