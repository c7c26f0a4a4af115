"""What the README and `results/README.md` show of the benchmark: made from `results/` alone, nothing typed by hand."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from foundation.atomic import write_atomic
from foundation.errors import InputError
from leaderboard.families import OURS, kind
from leaderboard.measures.audit import AUDIT
from leaderboard.measures.entries import read_entries
from leaderboard.measures.stages import STAGES
from leaderboard.provenance import read_links, same_sources
from leaderboard.report import audit_tables, comparisons, findings, recipe_section, tables
from leaderboard.report.ablation_section import ablation_sections
from leaderboard.report.ablation_tables import parts_table
from leaderboard.report.choice import choice_table
from leaderboard.report.figures.architecture import ARCHITECTURES
from leaderboard.report.figures.pictures import pictures_of
from leaderboard.report.figures.theme import draw
from leaderboard.report.key_findings import key_findings
from leaderboard.report.speed import SERVING_NOTE, Speeds
from leaderboard.report.speed_tables import speed_tables
from leaderboard.report.stage_section import stage_sections
from leaderboard.report.tuning_tables import results_table, searches_table
from leaderboard.report.words import bullets
from leaderboard.statistics import load_runs
from leaderboard.tuning import FOLDER, Tuned, load
from model import MODELS
from preprocessing.protocol import PROTOCOLS
from training.result import GAUC_NOTE

DATASET = "ml-1m"
SPEED = "speed"  # beside the data sets: what benchmarks measured
GENERATED_NOTE = (
    "**Generated data**: these numbers show that everything runs. They say nothing about MovieLens and must not be "
    "compared with a paper's."
)
TRAINING_NOTE = (
    "Training seconds are of one thread beside whatever else ran, and differ up to threefold from seed to seed: they "
    "compare no models."
)


def models_table() -> str:
    """The names that `--model_name` takes."""
    rows = []
    for key, entry in MODELS.items():
        names = ", ".join(f"`{name}`" for name in (key, *entry.aliases))
        rows.append(f"| {names} | {entry.title} ({entry.source}) | {kind(key)} |")
    return "\n".join(["| `--model_name` | model | kind |", "|---|---|---|", *rows])


@dataclass(frozen=True)
class Results:
    """What `results/` holds of one data set.

    runs: see `load_runs`. audit: see `leaderboard.measures.audit`. stages: see `leaderboard.measures.stages`.
    links: see `leaderboard.provenance`.
    """

    dataset: str
    runs: pd.DataFrame
    audit: list[dict] = field(default_factory=list)
    stages: list[dict] = field(default_factory=list)
    links: list[dict] = field(default_factory=list)
    speeds: Speeds = tables.NOT_MEASURED
    speed_tables: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Results:
        """Raises `InputError` without results."""
        runs = load_runs(folder)
        if runs.empty:
            raise InputError(f"There is no result in {folder}. Run benchmark.py without --report.")
        speeds = Speeds.load(folder.parent / SPEED)
        tables_of_speed = speed_tables(folder.parent / SPEED)
        audit, stages = (read_entries(folder / name) for name in (AUDIT, STAGES))
        return cls(folder.name, runs, audit, stages, read_links(folder.parent), speeds, tables_of_speed)


def parts_of(results: Results) -> dict[str, str]:
    """Marker -> what stands between `<!-- marker -->` and `<!-- /marker -->` in the README and in `docs/serving.md`."""
    return {
        "models": models_table(),
        "results": tables.overview(results.runs, results.dataset),
        "tests": comparisons.summary(results.runs),
        "choice": choice_table(results.runs, results.stages, results.speeds),
        "audit": audit_tables.probes_table(results.audit, results.runs),
        "parts": parts_table(results.runs),
        "recipes": recipe_section.table(results.runs, results.dataset),
        "findings": bullets(key_findings(results.runs, results.audit, results.stages, results.dataset)),
        **results.speed_tables,
    }


def filled(text: str, results: Results) -> str:
    """A text with what stands between its markers made anew."""
    return fill(text, parts_of(results))


def fill(text: str, parts: dict[str, str]) -> str:
    """A text with these parts between the markers of their names; names without markers do not matter."""
    for name, part in parts.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        text = re.sub(pattern, lambda found, part=part: f"{found[1]}{part}\n{found[2]}", text, flags=re.DOTALL)
    return text


def filled_tuning(text: str, tuned: list[Tuned]) -> str:
    """The same for `docs/tuning.md`."""
    return fill(text, {"trials": searches_table(), "tuning": results_table(tuned)})


def full_report(results: Results, figures: str = "../figure") -> str:
    """`results/README.md`. figures: folder of the pictures, as seen from there."""
    runs, dataset = results.runs, results.dataset
    generated = dataset.startswith("synthetic")
    command = f"python benchmark.py --{'quick' if generated else 'report'}"
    parts = [
        f"# Results on {dataset}",
        *([GENERATED_NOTE] if generated else []),
        f"Made by `{command}` from the files beside it, which hold the commands that repeat them.",
        f"{provenance(runs, results.links)} Figures with ± are means over seeds with 95 % intervals (Student's t). "
        f"RelaImpr is (AUC - .5) / (AUC of DSSM - .5) - 1. {GAUC_NOTE}",
        f"{comparisons.NOTE} {TRAINING_NOTE}" + (f" {SERVING_NOTE}" if results.speeds.items else ""),
        *findings.spread(runs),
    ]
    for protocol in PROTOCOLS:
        if ((runs["protocol"] == protocol) & (runs["variant"] == "")).any():
            parts += _protocol_parts(results, protocol)
    parts += ["## From protocol to protocol", tables.steps(runs), bullets(findings.steps(runs))]
    if results.audit:
        parts += ["## What the label leak is worth", audit_tables.NOTE, audit_tables.probes_table(results.audit, runs)]
        parts.append(bullets(findings.leak(results.audit, runs)))
        explained = audit_tables.explained_table(results.audit, runs)
        parts += [audit_tables.EXPLAINED_NOTE, explained] if explained else []
    parts += stage_sections(results.stages, runs, figures)
    parts += recipe_section.recipe_sections(runs, dataset) + ablation_sections(runs, figures)
    return "\n\n".join(filter(None, parts)) + "\n"


def _protocol_parts(results: Results, protocol: str) -> list[str]:
    """The leaderboard, the tests, and what both say."""
    runs, dataset = results.runs, results.dataset
    tests = comparisons.table(runs, protocol)
    said = findings.highest(runs, protocol) + findings.best_possible(runs, protocol)
    if protocol == "published":
        said += findings.above_papers(runs, dataset)
        said += [sentence for name in OURS for sentence in findings.against_paper(runs, name, dataset)]
    return [
        f"## {tables.PROTOCOL_TITLES[protocol]}",
        tables.leaderboard(runs, protocol, dataset, results.speeds),
        results.speeds.note,
        bullets(said),
        tests,
        bullets(findings.against_opponents(runs, protocol)),
        *(comparisons.caution(runs, protocol) if tests else []),
    ]


def provenance(runs: pd.DataFrame, links: list[dict]) -> str:
    """How many versions of the code made these runs; versions that were proven to train the same are one."""
    same = same_sources(links)
    groups = {same.get(source, frozenset({source})) for source in runs["sources"]}
    names = ", ".join(sorted({source[:12] for source in runs["sources"]}))
    versions = "one version" if len(groups) == 1 else f"{len(groups)} versions"
    return f"{len(runs)} runs of {versions} of the code (sources {names})."


def write_report(folder: Path, figures: Path, dataset: str = DATASET, readme: Path | None = None) -> list[Path]:
    """Writes `README.md` of a folder of results and the pictures; with `readme` also what stands between its markers.

    `docs/tuning.md` and `docs/serving.md` beside `readme` are filled likewise; the pictures of the architectures are
    for `readme`.

    Returns what was written, the report first. Raises `InputError` without results.
    """
    results = Results.load(folder / dataset)
    pictures = pictures_of(results.runs, dataset, results.stages, results.speeds)
    written = [folder / "README.md"]
    write_atomic(written[0], full_report(results, Path(os.path.relpath(figures, folder)).as_posix()))
    if readme is not None:
        write_atomic(readme, filled(readme.read_text(encoding="utf-8"), results))
        tuning, serving = (readme.parent / "docs" / name for name in ("tuning.md", "serving.md"))
        write_atomic(tuning, filled_tuning(tuning.read_text(encoding="utf-8"), load(folder / dataset / FOLDER)))
        write_atomic(serving, fill(serving.read_text(encoding="utf-8"), speed_tables(folder / SPEED)))
        written += [readme, tuning, serving]
        pictures |= ARCHITECTURES
    return written + [path for name, picture in pictures.items() for path in draw(figures, name, picture)]
