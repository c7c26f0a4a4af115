"""From a trained run to ranked candidates.

python prerank.py build RUN                      encode all items, write the index into the run folder
python prerank.py rank RUN --user 42 --top 10    rank them for a user
python prerank.py upsert RUN --items JSON        add or replace items, no rebuild; likewise --users
python prerank.py delete RUN --items FILE        remove items
python prerank.py export RUN --format onnx       user tower, item tower and scorer for other runtimes
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shlex
import time
from collections import Counter
from pathlib import Path
from typing import Any

from experiment.arguments import Parser, folder, number, place
from experiment.script import run
from foundation.errors import InputError
from foundation.precisions import precision_name
from foundation.shown import some, visible
from serving.blocks import PRECISIONS
from serving.candidates import MISSING
from serving.explain import beginning, explain, heat_map
from serving.export import FORMATS, export_onnx
from serving.from_run import load_dataset
from serving.manifest import index_folder
from serving.rank_table import liked_before, names_of, rows_of, table, user_line
from serving.ranker import PreRanker
from serving.ranking import Ranking
from serving.seen import SEEN
from serving.state import load_two_tower
from serving.writer import build_index, replaced
from training.pictures import save_picture

MISSING_NAMED = 10  # in the line for people
DEEPEST = 8  # lists and objects within each other; features need three


def main() -> None:
    options = _parser().parse_args()
    options.action(options)


def build(options: argparse.Namespace) -> None:
    start = time.perf_counter()
    model = load_two_tower(options.run)
    data = load_dataset(options.run, options.data_path)
    if undone := replaced(options.run, options.precision):
        print(undone)
    manifest = build_index(options.run, model, data, options.precision)
    size = (index_folder(options.run) / manifest.base).stat().st_size
    print(
        f"Index of {len(data.raw.items):,} items of {data.name} in {index_folder(options.run)}: "
        f"{size / 2**20:.1f} MiB, {options.precision}, {size / len(data.raw.items):,.0f} bytes an item, "
        f"{time.perf_counter() - start:.1f} s"
    )


def rank(options: argparse.Namespace) -> None:
    ranker = PreRanker.load(options.run)
    user = _user(ranker, options)
    text = ranker.state.items.has_text_ids
    candidates = None if options.candidates is None else _ids(options.candidates, text)
    exclude = options.exclude if options.exclude in (None, SEEN) else _ids(Path(options.exclude), text)
    ranking = ranker.rank(user, candidates, options.top, options.levels, missing=options.missing, exclude=exclude)
    assert isinstance(ranking, Ranking)  # of one user
    if options.explain and not len(ranking):
        raise InputError("No item is left to explain. Leave --explain out.")
    liked = liked_before(ranker, user)
    picture = explanation = None
    if options.explain:
        items = ranking.items.tolist()
        explanation = explain(ranker, user, items, options.levels)
        picture = options.run / _picture_name(user if options.features is not None else options.user)
        title = f"What matched: {user_line(ranker, user)}"
        if not save_picture(picture, lambda: heat_map(explanation, ranking.titles, title)):
            picture = None
    if options.json:
        answer = {
            "run": str(options.run),
            "generation": ranker.state.manifest.generation,
            "user": user,
            "items": rows_of(ranking),
            "missing": ranking.missing.tolist(),
            "liked_before": liked,
        }
        if explanation is not None:
            answer["explanation"] = explanation.as_json() | {"picture": picture and str(picture)}
        print(json.dumps(answer, indent=1))
        return
    print(f"User: {user_line(ranker, user)}")
    count = len(ranker.state.items) if candidates is None else len(set(candidates)) - len(ranking.missing)
    print(f"Best {len(ranking)} of {count:,} items")
    in_batch = ranker.state.model.click_loss.in_batch
    print(table(ranking, "logit" if in_batch else "score"))
    if in_batch:
        print("The logits order items and are no click probabilities: the model was trained with --loss in_batch.")
    if len(ranking.missing):
        print(f"Not in the index, and left out: {some(map(str, ranking.missing.tolist()), MISSING_NAMED)}")
    if liked:
        print(f"Liked before, latest first: {names_of(ranker, liked)}")
    if explanation is not None:
        for side, weights in explanation.field_weights.items():
            print(f"Light-SE, {side}: " + ", ".join(f"{visible(name)} {value:.3f}" for name, value in weights.items()))
        if picture:
            print(", ".join([f"Heat map: {picture}", *beginning(explanation)]))
        print(f"An item's logit is the sum of its row in the heat map and the bias, {explanation.bias:.4f}")


def upsert(options: argparse.Namespace) -> None:
    option, what = ("--items", "an item") if options.users is None else ("--users", "a user")
    rows = _json(options.items if options.users is None else options.users, option)
    rows = rows if isinstance(rows, list) else [rows]
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{option} must hold a JSON object {what}, or a list of them.")
    ranker = PreRanker.load(options.run)
    generation = ranker.upsert(rows) if options.users is None else ranker.upsert_users(rows)
    print(f"{len(rows):,} {option[2:]} added or replaced, generation {generation}")


def delete(options: argparse.Namespace) -> None:
    ranker = PreRanker.load(options.run)
    ids = _ids(options.items, ranker.state.items.has_text_ids)
    generation = ranker.delete(ids)
    print(f"{len(set(ids)):,} items deleted, generation {generation}")


def export(options: argparse.Namespace) -> None:
    done = export_onnx(options.run)
    print("Written and checked against torch: " + ", ".join(map(str, done.files)))
    if done.left_out:
        print(f"Not complete: {done.left_out}")


def _picture_name(asked: str | dict) -> str:
    """One for each request. asked: the id of a user as it was given, or raw features.

    >>> _picture_name("42"), _picture_name("a b") == _picture_name("a/b"), _picture_name({"age": 1})[:17]
    ('explain-42.png', False, 'explain-features-')
    """
    text = asked if isinstance(asked, str) else json.dumps(asked, sort_keys=True)
    plain = "".join(c if c.isalnum() else "_" for c in asked)[:80] if isinstance(asked, str) else "features"
    if plain == text:
        return f"explain-{plain}.png"
    return f"explain-{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}.png"


def _user(ranker: PreRanker, options: argparse.Namespace) -> Any:
    if options.features is not None:
        features = _json(options.features, "--features")
        if not isinstance(features, dict):
            raise InputError(f"--features must be a JSON object of raw features. Received: {options.features!r}.")
        return features
    state = ranker.state
    user = _id(options.user, state.users.has_text_ids, "--user")
    if state.of_the_request:
        request = {state.encoder.schema["user_id"]: user} | dict.fromkeys(state.of_the_request, "...")
        raise InputError(
            f"The model reads {', '.join(state.of_the_request)} of a request. Give the whole request in place of "
            f"--user: --features {shlex.quote(json.dumps(request, ensure_ascii=False))}"
        )
    return user


def _ids(path: Path, text: bool) -> list:
    """One id a line."""
    content = _text(path, str(path), "a file with one item id a line")
    return [_id(line.strip(), text, str(path)) for line in content.split("\n") if line.strip()]


def _id(given: str, text: bool, place: str) -> int | str:
    if text:
        return given
    # `int` itself also takes 1_0, and digits of other scripts.
    if re.fullmatch(r"[+-]?[0-9]{1,20}", given) is None:
        raise InputError(f"{place}: an id is a whole number here. Received: {given[:60]!r}.")
    return int(given)


def _json(given: str, place: str) -> Any:
    """JSON as it stands, or from a file."""
    inline = given.lstrip().startswith(("{", "["))
    content = given if inline else _text(given, f"{place}: {given[:200]}", "JSON, or a file of it")
    try:
        document = json.loads(content, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        document = None
    except ValueError as error:
        raise InputError(f"{place} must be JSON, or a file of it ({error}). Received: {given[:60]!r}.") from None
    if document is None or _is_deep(document):
        raise InputError(f"{place} must hold objects of features, each a value or a list. Received: {given[:60]!r}.")
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Raises `ValueError` for a name that stands there twice, of which JSON's reader would take the last."""
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands twice in one object")
    return dict(pairs)


def _constant(name: str) -> None:
    """NaN, which Python writes for what is missing, is null. Raises `ValueError` for infinity."""
    if name != "NaN":
        raise ValueError(f"{name} is no number")


def _is_deep(document: Any) -> bool:
    """Whether there are so many lists and objects within each other that a message could not even print them."""
    level = [document]
    for _ in range(DEEPEST):
        parts = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, (dict, list))
        ]
        level = [one for part in parts for one in part]
    return bool(level)


def _text(path: Path | str, name: str, wanted: str) -> str:
    """The content of a text file. A byte order mark before it is none of it."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}. Give {wanted}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{name} is not UTF-8 text. Give {wanted}.") from None
    except ValueError:  # a zero character
        raise InputError(f"{name!r} is no path. Give {wanted}.") from None


def _levels(text: str) -> str | list[int]:
    if text in ("all", "last"):
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not all, last or numbers like 1,3") from None


def _parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="build|rank|upsert|delete|export")

    def command(action, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(action.__name__, help=text, description=text, allow_abbrev=False)
        one.add_argument("run", type=folder, metavar="RUN", help="run folder of a two-tower model")
        one.set_defaults(action=action)
        return one

    one = command(build, "encode all items of the run's data and write the index")
    one.add_argument("--data_path", type=place, metavar="PATH", help="the data of the run, if they were moved since")
    one.add_argument(
        "--precision",
        type=precision_name,
        choices=PRECISIONS,
        default="float32",
        help="of scoring everything; default float32",
    )
    one = command(rank, "the best items for a user")
    asked = one.add_mutually_exclusive_group(required=True)
    asked.add_argument("--user", metavar="ID", help="a user of the data set")
    asked.add_argument("--features", metavar="JSON", help="raw features of any user, as JSON or a file of it")
    one.add_argument("--top", type=number(int, 1), default=10, metavar="K", help="how many items; default 10")
    one.add_argument("--candidates", type=Path, metavar="FILE", help="rank these items alone, one id a line")
    one.add_argument(
        "--missing", choices=MISSING, default="error", help="candidates that the index does not hold; default error"
    )
    one.add_argument(
        "--exclude", metavar="WHAT", help=f"{SEEN}: what the user liked before; or a file of items, one id a line"
    )
    one.add_argument("--levels", type=_levels, metavar="L", help="IntTower: all (default), last, or numbers like 1,3")
    one.add_argument("--explain", action="store_true", help="draw what matched into the run folder")
    one.add_argument("--json", action="store_true", help="print JSON")
    one = command(upsert, "add items or users, or replace those with the same id")
    given = one.add_mutually_exclusive_group(required=True)
    for what in ("--items", "--users"):
        given.add_argument(what, metavar="JSON", help="a list of objects of raw features, or a file of it")
    one = command(delete, "remove items")
    one.add_argument("--items", type=Path, required=True, metavar="FILE", help="one item id a line")
    one = command(export, "write user tower, item tower and scorer, checked against torch")
    one.add_argument("--format", choices=FORMATS, default="onnx")
    return parser


if __name__ == "__main__":
    run(main)
