"""What a request costs: scoring alone beside the published way, whole requests, an index of a million items.

    python -m benchmarks.latency scoring     one user, 10,000 candidates: ours, published, plain torch, faiss, peak
    python -m benchmarks.latency requests    features to the top 100: models x items x threads x users x precisions
    python -m benchmarks.latency million     HIT, a million items: build, open, memory of a reader

Models have their full size and random weights (`benchmarks.generated_run`). Each part prints a table; --json FILE keeps
it. Contenders are timed in turn; ratios are of medians of one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.generated_run import make_model, make_run, request_features
from benchmarks.timing import percentiles, seconds, square_product
from experiment.arguments import Parser, number
from experiment.script import run
from foundation.atomic import write_atomic
from foundation.errors import InputError
from model import MODELS
from model.base import TwoTower
from model.scorer import make_scorer
from serving.blocks import PRECISIONS, STORED, Blocks, blocks_shape, fill_blocks, head_scales
from serving.export_check import examples
from serving.manifest import index_folder
from serving.onnx_programs import named
from serving.ranker import PreRanker

TWO_TOWERS = [name for name, entry in MODELS.items() if issubclass(entry.model_class, TwoTower)]
RANKING = ("deep_fm", "auto_int")
HEADS = {
    "int_tower 1 head": ("int_tower", {"user_head": 1, "item_head": 1}),
    "int_tower 32 heads": ("int_tower", {"user_head": 32, "item_head": 32}),
    "hit 1 head": ("hit", {"num_heads": 1}),
}
SHAPES = {name: (name, {}) for name in TWO_TOWERS} | HEADS  # title -> model, arguments
TOP = 100
PEAK, GAPS = "square product", "ids with gaps"
# What a part does not read: given, it is an error.
WITHOUT_EFFECT = {
    "scoring": ("users", "precisions", "folder", "gaps"),
    "requests": (),
    "million": ("users", "models", "seconds", "gaps"),
}
CASE = ("model", "case", "items", "precision", "threads")  # what tells measurements of requests apart


# -- scoring alone ----------------------------------------------------------------------------------------------------


def random_vectors(model: TwoTower, count: int) -> tuple[Tensor, Tensor]:
    """Vectors of one user (1, R, d) and of `count` items (count, H, d), at random."""
    shapes = []
    for encode, columns in ((model.encode_user, model.user_columns), (model.encode_item, model.item_columns)):
        shapes.append(encode(named(columns, examples(columns, 1, 1))).shape[1:])
    return torch.randn(1, *shapes[0]), torch.randn(count, *shapes[1])


def scoring_contenders(model: TwoTower, count: int) -> tuple[dict[str, Callable[[], object]], float]:
    """Ways to score `count` items for one user, and the FLOPs of their matrix product."""
    with torch.inference_mode():
        user, items = random_vectors(model, count)
        scorer, vectors = make_scorer(model.interaction, user, items[:8]), items.flatten(1)
        query = scorer.query(user)
    scales = head_scales(vectors.numpy(), scorer.heads)
    actions: dict[str, Callable[[], object]] = {}
    for precision in PRECISIONS:
        array = np.zeros(blocks_shape(count, scorer.heads, scorer.dim), dtype=STORED[precision])
        fill_blocks(array, vectors.numpy(), scales)
        blocks = Blocks.from_arrays(array, scales, count)
        if blocks.is_exact and scorer.prefers_vectors(query):
            actions[precision] = lambda: scorer.score_items(query, vectors)
        else:
            actions[precision] = lambda blocks=blocks: blocks.score(scorer, query)
    actions["plain torch"] = lambda: scorer.score_vectors(query, vectors)
    actions["published"] = lambda: model.interaction(user.expand(count, -1, -1), items)
    if scorer.is_product and (search := faiss_search(vectors, query.sum(1))) is not None:
        actions["faiss top 100"] = search
    single, vector = torch.randn(count, 32), torch.randn(32)
    actions["one 32-dim dot"] = lambda: torch.mv(single, vector)
    return actions, 2.0 * scorer.multiplied(query).shape[1] * vectors.shape[1] * count


def faiss_search(vectors: Tensor, query: Tensor) -> Callable[[], object] | None:
    """None where faiss is not installed."""
    try:
        import faiss
    except ImportError:
        return None
    faiss.omp_set_num_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors.numpy())
    return lambda: index.search(query.numpy(), TOP)


def scoring(options: argparse.Namespace) -> list[dict]:
    table = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        for title in (title for title in options.models if title in SHAPES):
            name, arguments = SHAPES[title]
            actions, flops = scoring_contenders(make_model(name, 1000, **arguments), options.items[0])
            product, product_flops = square_product()
            with torch.inference_mode():
                times = seconds(actions, options.seconds)
                # In turns of their own: after such a product the next contender would find the caches full of it.
                pair = seconds({"float32": actions["float32"], PEAK: product}, options.seconds / 2)
            rate, peak = flops / float(np.median(pair["float32"])), product_flops / float(np.median(pair[PEAK]))
            published = float(np.median(times["published"]))
            for way, values in times.items():
                median = float(np.median(values))
                entry = {"model": title, "way": way, "items": options.items[0], "threads": threads}
                entry |= percentiles(values) | {"times_faster": round(published / median, 2)}
                if way == "float32":
                    entry |= {"share_of_peak": round(rate / peak, 3), "sgemm_gflops": round(peak / 1e9, 1)}
                table.append(entry)
    return table


# -- whole requests ---------------------------------------------------------------------------------------------------


def requests(options: argparse.Namespace) -> list[dict]:
    """Cases that --json holds already are not measured again."""
    table = (
        json.loads(options.json.read_text(encoding="utf-8"))
        if options.json is not None and options.json.exists()
        else []
    )
    done = {tuple(entry[name] for name in CASE) for entry in table}
    for items, title in itertools.product(options.items, options.models):
        name, arguments = SHAPES.get(title, (title, {}))
        for precision in options.precisions if name in TWO_TOWERS else ("float32",):
            names = case_names(name, options)
            keys = [(title, case, items, precision, threads) for case in names for threads in options.threads]
            if done.issuperset(keys):
                continue
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                cases = request_cases(Path(folder), name, items, precision, arguments, options)
                for title, case, items, precision, threads in (key for key in keys if key not in done):
                    action, users, more = cases[case]
                    torch.set_num_threads(threads)
                    times = seconds({"request": action}, options.seconds, most=2000)["request"]
                    entry = dict(zip(CASE, (title, case, items, precision, threads), strict=True))
                    entry |= {"users": users} | percentiles(times)
                    table.append(entry | {"requests_per_second": round(users / float(times.mean()), 1)} | more)
                    print(json.dumps(table[-1]), file=sys.stderr, flush=True)
                    if options.json is not None:
                        write_atomic(options.json, as_json(table))
    return table


def case_names(name: str, options: argparse.Namespace) -> list[str]:
    if name not in TWO_TOWERS:
        return ["all candidates"]
    names = ["features to top 100", "known user to top 100", "1,000 candidates"]
    if options.gaps:
        return [f"{case}, {GAPS}" for case in (*names, "all as candidates")]
    names += ["last level"] if name == "int_tower" else []
    return names + [f"{users} users" for users in options.users if users > 1]


def request_cases(
    folder: Path, name: str, items: int, precision: str, arguments: dict, options: argparse.Namespace
) -> dict[str, tuple[Callable[[], object], int, dict]]:
    """case -> (action, users a request, what else is known)"""
    if name not in TWO_TOWERS:
        return {"all candidates": (ranking_request(name, items), 1, {})}
    make_run(folder, name, items, precision, options.gaps, **arguments)
    ranker = PreRanker.load(folder)
    features = request_features(MODELS[name].history)
    size = {"bytes_per_item": round(next(index_folder(folder).glob("base-*")).stat().st_size / items)}
    everything = np.random.default_rng(1).permutation(ranker.item_ids())
    some = everything[:1000]
    cases = {
        "features to top 100": (lambda: ranker.rank(features), 1, size),
        "known user to top 100": (lambda: ranker.rank(7), 1, size),
        "1,000 candidates": (lambda: ranker.rank(features, some), 1, size),
    }
    if options.gaps:
        cases = {f"{case}, {GAPS}": found for case, found in cases.items()}
        cases[f"all as candidates, {GAPS}"] = (lambda: ranker.rank(features, everything), 1, size)
        return cases
    if name == "int_tower":
        cases["last level"] = (lambda: ranker.rank(features, levels="last"), 1, size)
    for users in options.users:
        if users > 1:
            cases[f"{users} users"] = (lambda users=users: ranker.rank(list(range(1, users + 1))), users, size)
    return cases


@torch.inference_mode()
def ranking_request(name: str, items: int) -> Callable[[], object]:
    """A ranking model on the same candidates: every candidate is a row, the user's features repeated."""
    model, generator = make_model(name, items), torch.Generator().manual_seed(0)
    features = {}
    for column in model.columns:
        size, one = getattr(column, "vocabulary_size", 0), column in model.columns[: len(model.columns) - 3]
        count = 1 if one else items
        shape = (count, 3) if hasattr(column, "sparsefeat") else (count,)
        value = torch.randint(1, size, shape, generator=generator) if size else torch.rand(count, generator=generator)
        features[column.name] = value.repeat(items // count, *[1] * (value.ndim - 1))

    @torch.inference_mode()
    def action() -> object:
        parts = torch.arange(items).split(8192)
        logits = [model({name: value[part] for name, value in features.items()}) for part in parts]
        return torch.topk(torch.cat(logits), min(TOP, items))

    return action


# -- a million items --------------------------------------------------------------------------------------------------


def million(options: argparse.Namespace) -> list[dict]:
    torch.set_num_threads(options.threads[0])
    items = max(options.items)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        start = time.perf_counter()
        make_run(Path(folder), "hit", items, options.precisions[0])
        built = time.perf_counter() - start
        argv = [sys.executable, "-m", "benchmarks.index_reader", folder, str(items)]
        done = subprocess.run(argv, capture_output=True, text=True, encoding="utf-8", check=True)
        opened, first, resident, size = map(float, done.stdout.split())
    return [
        {
            "model": "hit",
            "items": items,
            "precision": options.precisions[0],
            "build_s": round(built, 1),
            "open_ms": round(opened * 1e3, 2),
            "first_1000_candidates_ms": round(first * 1e3, 2),
            "reader_index_MiB": round(resident / 2**20, 1),
            "file_MiB": round(size / 2**20, 1),
            "build_peak_MiB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10),
        }
    ]


# -- the command ------------------------------------------------------------------------------------------------------


def as_json(rows: list[dict]) -> str:
    """A list with one row a line."""
    return "[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n"


def print_table(rows: list[dict]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Raises `InputError` for what is unknown, out of range or without effect on the part."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add, count = parser.add_argument, number(int, 1)
    add("part", choices=WITHOUT_EFFECT)
    add("--items", nargs="+", type=count, help="default 10,000; of `million` 1,000,000")
    add("--threads", nargs="+", type=count, default=[1])
    add("--users", nargs="+", type=count, default=[1, 8, 64], help="users a request")
    add("--precisions", nargs="+", choices=PRECISIONS, default=["float32"])
    add("--models", nargs="+", choices=[*SHAPES, *RANKING], default=[*SHAPES, *RANKING])
    add("--seconds", type=number(float, above=0), default=3.0, help="of measuring a case")
    add("--json", type=Path, help="write the table here")
    add("--gaps", action="store_true", help="of `requests`: item ids with gaps, every third one on average")
    add("--folder", type=Path, help="where generated run folders are written and deleted")
    options = parser.parse_args(argv)
    given = [f"--{name}" for name in WITHOUT_EFFECT[options.part] if getattr(options, name) != parser.get_default(name)]
    if given:
        raise InputError(f"`{options.part}` does not read {', '.join(given)}. Leave it out.")
    single = {"scoring": ("items",), "requests": (), "million": ("items", "threads", "precisions")}[options.part]
    for name in single:
        if len(getattr(options, name) or ()) > 1:
            raise InputError(f"`{options.part}` measures one value of --{name}. Received: {getattr(options, name)}.")
    if options.part == "scoring" and not set(options.models) & SHAPES.keys():
        raise InputError(f"`scoring` measures {', '.join(SHAPES)}. Received: {' '.join(options.models)}.")
    return options


def main() -> None:
    options = parse()
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    options.items = options.items or ([1_000_000] if options.part == "million" else [10_000])
    table = {"scoring": scoring, "requests": requests, "million": million}[options.part](options)
    print_table(table)
    if options.json:
        write_atomic(options.json, as_json(table))


if __name__ == "__main__":
    run(main)
