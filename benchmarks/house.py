"""The structure of the code: packages on floors, imports that point down only. Checked by a test, drawn for the docs.

    python -m benchmarks.house                  the table of floors, and every import that does not point down
    python -m benchmarks.house --draw figure    the drawing of docs/architecture.md, light and dark

Read from the sources by `ast`; nothing is run.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from experiment.arguments import Parser, folder

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = "scripts"
ASIDE = {"leaderboard": 1}  # columns to the right in the drawing, out of the way of an arrow
# From the ground: what stands on a floor imports from lower floors and from its own package.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("foundation",),
    ("kernels",),
    ("preprocessing",),
    ("training",),
    ("model",),
    ("published", "serving", "experiment"),
    ("leaderboard",),
    (SCRIPTS,),
)
WHAT = {
    "foundation": "errors, whole files, locks,\nfeatures and columns",
    "kernels": "hand-made fast paths,\neach beside its plain twin",
    "preprocessing": "raw files to encoded data:\nreaders, protocols, encodings",
    "training": "the loop, metrics,\ncheckpoints, run folders",
    "model": "13 models as equations,\nlosses, interactions",
    "serving": "item index, ranking,\nexplanation, export",
    "experiment": "options of a script,\none run from start to end",
    "published": "the releases' names\nand flags",
    "leaderboard": "many runs: grid, ablations,\nstages, tables, pictures",
    SCRIPTS: "train_*.py, prerank.py,\nbenchmark.py",
}
THEMES = {"light": ("#1f2328", "white", "#eaf2fb"), "dark": ("#e6edf3", "#0d1117", "#1c2a3a")}  # ink, paper, boxes
# Modules at the paths of the published repositories, which hand on what stands in `published/`.
DOORS = (
    *(f"preprocessing.{name}" for name in ("dataProcess", "inputs", "logging", "model_select")),
    *("model.hit", "experiment.published_flags"),
)


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Name -> file of every module of the packages, and of the scripts at the top."""
    packages = [package for floor in FLOORS for package in floor if package != SCRIPTS]
    files = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    named = {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in files}
    return named | {path.stem: path for path in sorted(root.glob("*.py"))}


def imports(path: Path, known: Iterable[str]) -> Iterator[str]:
    """The modules of this project that a file imports, those inside functions too."""
    known = set(known)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for block in [node for node in ast.walk(tree) if isinstance(node, ast.If)]:
        if ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            module = name if name in known else name.rpartition(".")[0]
            if module in known:
                yield module


def package_of(module: str) -> str:
    package = module.partition(".")[0]
    return package if any(package in floor for floor in FLOORS) else SCRIPTS


def floor_of(module: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if package_of(module) in floor)


def arrows(root: Path = ROOT) -> list[tuple[str, str]]:
    """(importer, imported) of every import between two modules, but for what `DOORS` hand on."""
    known = modules(root)
    pairs = [(name, other) for name, path in known.items() for other in imports(path, known)]
    return [(name, other) for name, other in pairs if name not in DOORS or package_of(other) != "published"]


def wrong_arrows(root: Path = ROOT) -> list[str]:
    """Imports that run up, or to another package on the same floor."""
    return [
        f"{name} imports {other}"
        for name, other in arrows(root)
        if package_of(name) != package_of(other) and floor_of(name) <= floor_of(other)
    ]


def circles(root: Path = ROOT) -> list[list[str]]:
    """Modules that import each other in a loop, each loop once; imports for type checkers alone are none."""
    edges: dict[str, set[str]] = {}
    for name, other in arrows(root):
        edges.setdefault(name, set()).add(other)
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append(way[way.index(module) :])
        elif module not in done:
            for other in sorted(edges.get(module, ())):
                visit(other, [*way, module])
            done.add(module)

    for module in sorted(edges):
        visit(module, [])
    return found


def lines_of(root: Path = ROOT) -> Counter[str]:
    """Lines of each package."""
    counted: Counter[str] = Counter()
    for name, path in modules(root).items():
        counted[package_of(name)] += len(path.read_text(encoding="utf-8").splitlines())
    return counted


def draw(place: Path) -> None:
    """Writes house-light.png and house-dark.png: a box a package; an arrow leads to what it imports, and from there on
    down, so that of several ways the longest is drawn."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import FancyBboxPatch

    counted = lines_of()
    direct = {(package_of(a), package_of(b)) for a, b in arrows() if package_of(a) != package_of(b)}
    reached = set(direct)
    for middle in WHAT:
        reached |= {(a, b) for a in WHAT for b in WHAT if (a, middle) in reached and (middle, b) in reached}
    drawn = [(a, b) for a, b in direct if not any((a, c) in reached and (c, b) in reached for c in WHAT)]
    width, height, step = 3.1, 0.92, 1.36
    where = {
        package: ((column - (len(floor) - 1) / 2 + ASIDE.get(package, 0)) * 4.2, step * number)
        for number, floor in enumerate(FLOORS)
        for column, package in enumerate(floor)
    }
    for theme, (ink, paper, fill) in THEMES.items():
        figure, axis = plt.subplots(figsize=(9.5, 8.2), facecolor=paper)
        for a, b in drawn:
            (x, y), (u, v) = where[a], where[b]
            ends = (u, v + height / 2), (x, y - height / 2)
            axis.annotate("", *ends, arrowprops={"arrowstyle": "-|>", "color": ink, "shrinkA": 0, "shrinkB": 0})
        for package, (x, y) in where.items():
            corner = (x - width / 2, y - height / 2)
            box = {"boxstyle": "round,pad=0.02,rounding_size=0.08", "fc": fill, "ec": ink, "lw": 1.2}
            axis.add_patch(FancyBboxPatch(corner, width, height, **box))
            text = {"ha": "center", "va": "center", "color": ink}
            axis.text(x, y + 0.25, package if package == SCRIPTS else f"{package}/", weight="bold", fontsize=11, **text)
            axis.text(x, y - 0.14, WHAT[package], fontsize=8.5, **text)
            lines = f"{counted[package]:,}\nlines"
            axis.text(x + width / 2 + 0.08, y, lines, va="center", color=ink, fontsize=8.5, alpha=0.8)
        axis.set_xlim(-5.9, 6.3)
        axis.set_ylim(-0.6, step * len(FLOORS) - 0.7)
        axis.axis("off")
        figure.savefig(place / f"house-{theme}.png", dpi=110, bbox_inches="tight", facecolor=paper)
        plt.close(figure)


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("--draw", type=folder, metavar="DIR", help="writes house-light.png and house-dark.png there")
    options = parser.parse_args()
    counted = lines_of()
    for number, floor in reversed(list(enumerate(FLOORS))):
        print(f"{number}  " + "   ".join(f"{package} {counted[package]:,}" for package in floor))
    wrong = [*wrong_arrows(), *(" -> ".join(circle) for circle in circles())]
    print("\n".join(wrong) or "Every import points down, and no files import each other in a circle.")
    if options.draw:
        draw(options.draw)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
