"""The pages that show results: tables, and numbers in hand-written text, made from `results/` alone between markers.

A table named `x` stands between `<!-- x -->` and `<!-- /x -->`; of numbers see `leaderboard.prose`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from experiment.record import ROOT
from foundation.atomic import write_atomic
from foundation.errors import InputError
from leaderboard.board import Results
from leaderboard.captions import CAPTIONS
from leaderboard.data_sets import DATASET
from leaderboard.drawings import ARCHITECTURES
from leaderboard.grid.data_sets import data_sets_table
from leaderboard.markdown import decimal_text, one_below_the_other
from leaderboard.prose import Numbers, fill_numbers
from leaderboard.table_formats import write_tables
from leaderboard.theme import Picture, draw, picture
from leaderboard.tuning.tables import tuning_table
from preprocessing.raw import cut_by

# With markers, of `DATASET`.
PAGES = (
    "README.md",
    "results/README.md",
    "docs/results.md",
    "docs/protocols.md",
    "docs/models.md",
    "docs/beat_this.md",
    "docs/tuning.md",
    "docs/serving.md",
    "docs/index_format.md",
    "docs/published_code.md",
)
PAGE, FIGURES = "README.md", "figure"  # of each further data set, in its folder of results
PART_NOTE = "**A part of the data**: more rows may change which model is better."
OVERVIEW, PLAIN = "# All results", "# Results on"  # how these pages begin
NOT_MEASURED = "*Not measured yet.*"
GENERATED_NOTE = (
    "**Generated data**: these numbers show that everything runs. They say nothing about real data and must not be "
    "compared with a paper's."
)


def data_sets_text(every: Mapping[str, Results], pages: Mapping[str, str]) -> str:
    """All data sets side by side; then a line for each: its page, its runs, and where its settings come from.

    pages: name of the data -> its page, as seen from there.
    """
    lines = [
        f"- [{name}]({pages[name]}): {len(results.runs)} runs. {results.settings}" for name, results in every.items()
    ]
    return one_below_the_other(data_sets_table({name: each.runs for name, each in every.items()}), "\n".join(lines))


def filled(text: str, tables: Mapping[str, str], numbers: Numbers) -> str:
    """A page with these tables and numbers between its markers; tables without markers do not matter."""
    for name, table in tables.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        if start in text:
            before, _, rest = text.partition(start)
            text = f"{before}{start}{table or NOT_MEASURED}\n{end}{rest.partition(end)[2]}"
    return fill_numbers(text, numbers)


def plain_report(results: Results) -> str:
    """A page of all tables and pictures, for results that no hand-written page is about."""
    parts = [f"{PLAIN} {results.dataset}"]
    if results.dataset.startswith(("synthetic", "generated")):
        parts.append(GENERATED_NOTE)
    elif cut_by(results.dataset):
        parts.append(PART_NOTE)
    parts.append("What the columns mean is said in the project's own `results/README.md`.")
    for protocol, best in results.runs.groupby("protocol")["best_possible_auc"].mean().items():
        if not math.isnan(best):
            parts.append(f"Ranking by the planted probabilities reaches AUC {decimal_text(best)} under `{protocol}`.")
    tuning = {"tuning": tuning_table(results.tuned)} if results.tuned else {}
    for name, text in (results.tables() | tuning).items():
        parts += [f"## {name}", text] if text else []
    parts += [picture(FIGURES, name, name, CAPTIONS[name]) for name in results.pictures()]
    return "\n\n".join(parts) + "\n"


def write_report(folder: Path) -> list[Path]:
    """Writes a page of all data sets that a folder has results of, and a page each, with its pictures.

    Returns what was written. Raises `InputError` without results, and for a page that is none of this function.
    """
    require_own(folder / PAGE, OVERVIEW)
    every = Results.load_all(folder)
    of_each = _write_plain(folder, list(every.values()))
    text = data_sets_text(every, {name: f"{name}/{PAGE}" for name in every})
    write_atomic(folder / PAGE, f"{OVERVIEW}\n\n{text}\n")
    return [folder / PAGE, *of_each]


def require_own(page: Path, heading: str = PLAIN) -> None:
    """Raises `InputError` for a page in the place of one of ours."""
    if page.exists() and not page.read_text(encoding="utf-8").startswith(heading):
        raise InputError(f"The report would replace {page}. Give --results another folder.")


def _write_plain(folder: Path, every: list[Results]) -> list[Path]:
    for results in every:
        require_own(folder / results.dataset / PAGE)
    paths: list[Path] = []
    for results in every:
        paths.append(folder / results.dataset / PAGE)
        write_atomic(paths[-1], plain_report(results))
        paths += draw_all(folder / results.dataset / FIGURES, results.pictures())
    return paths


def project_tables(every: Mapping[str, Results]) -> dict[str, str]:
    """What stands on pages of this project."""
    pages = {name: f"{name}/{PAGE}" for name in every} | {DATASET: PAGE}
    return every[DATASET].page_tables() | {"data sets": data_sets_text(every, pages)}


def write_pages(root: Path = ROOT) -> list[Path]:
    """Fills the project's own pages from `results/`, draws its pictures, and writes the pages of other data sets.

    Returns what was written. Raises `InputError` without results, for a sentence that they do not bear out any more,
    and for a page of another data set that is none of this function.
    """
    every = Results.load_all(root / "results")
    if DATASET not in every:
        raise InputError(f"There is no result of {DATASET} in {root / 'results'}, which the project's pages are about.")
    own, others = every[DATASET], [results for name, results in every.items() if name != DATASET]
    tables, numbers = project_tables(every), Numbers(own)
    pages = {root / name: (root / name).read_text(encoding="utf-8") for name in PAGES}
    texts = {page: filled(text, tables, numbers) for page, text in pages.items()}
    of_others = _write_plain(root / "results", others)
    for page, text in texts.items():
        write_atomic(page, text)
    return [*pages, *draw_all(root / "figure", ARCHITECTURES | own.pictures()), *of_others]


def write_tables_of(results: Path, folder: Path) -> list[Path]:
    """Every table of every data set as CSV and LaTeX, in a folder each. Returns what was written."""
    every = Results.load_all(results)
    return [path for name, own in every.items() for path in write_tables(folder / name, own.tables())]


def draw_all(folder: Path, pictures: Mapping[str, Picture]) -> list[Path]:
    return [path for name, picture in pictures.items() for path in draw(folder, name, picture)]
