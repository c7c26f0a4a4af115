"""The model card of a run, `README.md` beside its weights: what they are, what was measured, how to use them.

The layout is the one that model hubs read: a YAML block of metadata, then Markdown for people. All of it follows from
`result.json`, the model and the data, and nothing of it from the clock: equal runs have equal cards.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from pathlib import Path
from typing import Any

from experiment.edited import edited_functions
from experiment.model_arguments import SCRIPT_ARGUMENTS
from foundation.feature_columns import Column
from foundation.front_matter import front_matter
from foundation.markdown import code, code_block, literal, table
from foundation.run_files import CARD_COMMENT
from foundation.shown import visible
from model import MODELS, ModelEntry
from model.base import CTRModel, TwoTower
from model.effects import constructor_defaults, idle_settings
from preprocessing.dataset import Dataset
from preprocessing.load import AMAZON_NAMES, MOVIELENS_NAMES, TAOBAO_NAMES, reader_of
from training.result import GAUC_NOTE, NO_PROBABILITIES
from training.result_file import FOLDER, RUN
from training.retrieval_shown import retrieval_markdown

# Key in `result.json` -> how hubs call the metric, how people do.
METRICS = {"auc": ("roc_auc", "AUC"), "logloss": ("logloss", "logloss"), "gauc": ("gauc", "GAUC")}
# What tests a model, by protocol.
TESTED_ON = {
    "published": "random rows, with the features of the papers' released code",
    "holdout": "random rows, whose features are made without test labels",
    "temporal": "the latest rows",
}
# What a label of 1 is, by the reader of the data.
POSITIVES = {
    **dict.fromkeys(MOVIELENS_NAMES, "a rating above 3 (ratings of 3 are dropped)"),
    **dict.fromkeys(AMAZON_NAMES, "a review of 4 or 5 stars"),
    **dict.fromkeys(TAOBAO_NAMES, "a click"),
}
WHERE = "From the root of the project, with `RUN` replaced by the folder of this card"
BEGINNINGS = ("--resume", "--overwrite")  # which say what to do with an earlier run, and nothing of this one


def model_card(
    model: CTRModel, data: Dataset, entry: ModelEntry, result: dict, unusual: Collection[str] = frozenset()
) -> str:
    """The text of the card. entry: of the model's table, with the class's own name as title for another one.

    result: `result.json` as a dict, with its `run`. unusual: names of settings that are not the default.
    """
    sections = {
        "Numbers": _numbers(result),
        "Data and protocol": _data(result),
        "Model": _model(model, result),
        "How to load it": _loading(model, entry, result),
        **({"How to rank with it": _ranking(model, data, entry, result)} if isinstance(model, TwoTower) else {}),
        "Intended use and limits": _use(model, result),
        "Settings": _settings(model, result, unusual),
        "Command and code": _origin(result),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    title = f"{literal(entry.title)} on {literal(result['dataset'])}"
    head = front_matter(_metadata(model, entry, result), CARD_COMMENT)
    return f"{head}\n# {title}\n\n{_summary(model, entry, result)}\n\n{body}\n"


def _metadata(model: CTRModel, entry: ModelEntry, result: dict) -> dict[str, Any]:
    name, protocol = result["dataset"], result["protocol"]
    leaks = ", which leaks test labels" if result["leaks_labels"] else ""
    generated = "generated data, " if _is_generated(result) else ""
    measured = {key: result["test"][key] for key in METRICS if result["test"].get(key) is not None}
    kind = "two-tower" if isinstance(model, TwoTower) else "ranking"
    tested = {
        "task": {"type": "tabular-classification", "name": "Click-through rate prediction"},
        "dataset": {
            "name": f"{name} ({generated}protocol {protocol}{leaks})",
            "type": _slug(name),
            "config": protocol,
            "split": "test",
            "revision": result["data_sha256"],
            "args": {"protocol": protocol, "seed": result["seed"], "leaks_test_labels": result["leaks_labels"]},
        },
        "metrics": [
            {"type": METRICS[key][0], "name": METRICS[key][1], "value": value} for key, value in measured.items()
        ],
    }
    return {
        "library_name": "pytorch",
        "tags": ["recommendation", "click-through-rate", "pre-ranking", kind, _slug(result["model"])],
        "datasets": [_slug(name)],
        "metrics": [METRICS[key][0] for key in measured],
        "model-index": [{"name": entry.title, "results": [tested]}],
    }


def _summary(model: CTRModel, entry: ModelEntry, result: dict) -> str:
    kind = "two-tower model" if isinstance(model, TwoTower) else "ranking model"
    source = f" ({literal(entry.source)})" if entry.source else ""
    trained = f"trained on {literal(result['dataset'])} under the protocol {code(result['protocol'])}"
    notes = [
        f"{literal(entry.title)}{source} is a {kind}, {trained}, seed {result['seed']}. It predicts the probability of "
        f"{_positive(result)}."
    ]
    if result["leaks_labels"]:
        leak = literal(result["leak"])
        notes.append(
            "> **The protocol leaks test labels. These numbers are better than they should be.** "
            f"{leak[:1].upper()}{leak[1:]}. No number here says how well the model predicts."
        )
    if _is_generated(result):
        notes.append(
            "> **The data are generated.** The numbers say nothing about real users, and are not comparable with those "
            f"of a paper. No model can expect a test AUC above {result['best_possible_auc']:.4f} without a label leak."
        )
    return "\n\n".join(notes)


def _numbers(result: dict) -> str:
    rows = [[split, *_cells(result[split])] for split in ("test", "validation")]
    if result["paper"]:
        rows.append(["test, in the paper", *_cells(result["paper"])])
    best, epochs = result["best_epoch"], result["epochs"]
    kept = f"The weights are those of epoch {best} of {epochs}, the one with the best validation AUC."
    if "refit" in result:
        kept = (
            f"A first training had its best validation AUC in epoch {best} of {epochs}, and its validation numbers are "
            "those of the table. Then the model was trained anew for as many epochs, on training and validation rows "
            "together. The test numbers and the weights are of this second training."
        )
    notes = [kept, "The test rows were scored once.", GAUC_NOTE]
    calibration = result["calibration"]
    off = "" if calibration is None else f"The test probabilities are off by {calibration['ece']:.4f} on average (ECE)."
    notes.append(off or NO_PROBABILITIES)
    if result["paper"] and not result["leaks_labels"]:
        notes.append("The paper's numbers are under the published protocol, which leaks test labels.")
    names = [name for _, name in METRICS.values()]
    return "\n\n".join([table(["rows", *names], rows, numbers=True), " ".join(notes), *retrieval_markdown(result)])


def _cells(scores: dict[str, float | None]) -> list[str]:
    values = [scores.get(key) for key in METRICS]
    return ["-" if value is None else f"{value:.4f}" for value in values]


def _data(result: dict) -> str:
    chosen = result["refit"]["chosen_on"] if "refit" in result else {}
    rows = [
        ["data set", literal(result["dataset"]) + (" (generated)" if _is_generated(result) else "")],
        ["fingerprint (SHA-256 of the content)", code(result["data_sha256"])],
        ["protocol", f"{code(result['protocol'])}: tests on {TESTED_ON[result['protocol']]}"],
        ["leaks test labels", "**yes**" if result["leaks_labels"] else "no"],
        ["seed of the split", str(result["seed"])],
        *([["rows of the first training", _counts(chosen)]] if chosen else []),
        ["rows", _counts(result["rows"])],
    ]
    return table(["", ""], rows)


def _counts(rows: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {split}" for split, count in rows.items())


def _model(model: CTRModel, result: dict) -> str:
    published = result["paper_parameters"]
    sides = {"features": model.columns}
    if isinstance(model, TwoTower):
        sides = {"user features": model.user_columns, "item features": model.item_columns}
    rows = [
        ["class", code(f"{type(model).__module__}.{type(model).__qualname__}")],
        ["parameters", f"{result['parameters']:,}" + (f" (paper: {published:,})" if published else "")],
        *([side, ", ".join(code(column.name) for column in columns)] for side, columns in sides.items()),
    ]
    return table(["", ""], rows)


def _loading(model: CTRModel, entry: ModelEntry, result: dict) -> str:
    name = type(model).__name__
    if _is_listed(entry):
        lines = ["from model import load_model", "", 'model = load_model("RUN")']
        how = ""
    else:
        module = type(model).__module__
        lines = [f"from {module} import {name}", "", f'model = {name}.load("RUN")']
        how = f" The class {code(name)} is not in the table of models: take it from where it is defined."
    parts = [
        f"The code of the project that trained it is needed, with the packages of its `requirements.txt`.{how}",
        f"{WHERE}:",
        code_block("python", *lines),
        "`model.predict(rows)` gives these probabilities. `rows` is a pandas frame of raw values, with a row for each "
        "impression and a column for each feature.",
    ]
    if _is_read(result):
        test = ["from pathlib import Path", "", "from serving.from_run import load_dataset", ""]
        test += ['data = load_dataset(Path("RUN"), data_path=None)', "print(model.evaluate(data.test))"]
        parts += ["This computes the test numbers again. `data_path` says where the data are if they were moved."]
        parts += [code_block("python", *test)]
    return "\n\n".join(parts)


def _ranking(model: TwoTower, data: Dataset, entry: ModelEntry, result: dict) -> str:
    """Of a two-tower model alone: others have no index."""
    strange = _of_the_impression(model.item_columns, data)
    if strange:
        names = ", ".join(map(code, strange))
        return f"The item tower reads {names} of the impression, so that an item has no one vector and no index."
    if not _is_listed(entry):
        return "An item index needs an entry for the class in `MODELS` (`docs/own_model.md`)."
    if not _is_read(result):
        lines = ["from pathlib import Path", "", "from serving.ranker import PreRanker"]
        lines += ["from serving.writer import build_index", ""]
        lines += ['build_index(Path("RUN"), model, data)  # data: the `Dataset` of the training']
        lines += ['PreRanker.load("RUN")']
        return f"{WHERE}:\n\n{code_block('python', *lines)}\n\n`docs/frames.md` says how to ask for a ranking."
    asked, what = "--user USER", "`USER` is the id of a user of the data."
    told = _of_the_impression(model.user_columns, data)
    if told:
        asked = "--features REQUEST"
        what = (
            f"`REQUEST` is a JSON object with the id of a user, and with {', '.join(map(code, told))} of the request."
        )
    lines = ["python prerank.py build RUN", f"python prerank.py rank RUN {asked} --top 10"]
    notes = f"{what} If the data were moved, the first command takes `--data_path`."
    return f"{WHERE}:\n\n{code_block('shell', *lines)}\n\n{notes}"


def _of_the_impression(columns: list[Column], data: Dataset) -> list[str]:
    """The features among them that are neither the user's nor the item's."""
    schema = data.schema
    computed = (schema.user_statistic, schema.item_statistic, schema.history)
    return [column.name for column in columns if column.name in data.per_row and column.name not in computed]


def _use(model: CTRModel, result: dict) -> str:
    role = (
        "keep the best of thousands of candidates" if isinstance(model, TwoTower) else "rank a few hundred candidates"
    )
    points = [
        f"The model is meant for research on pre-ranking, and to {role}, on data that are made like the training data.",
        f"A score is the estimated probability of {_positive(result)}. It follows the log, with its biases of "
        "position, selection and popularity.",
        "Nobody has tested the scores in front of users, or measured fairness between groups of users.",
        "Users and items that training has not seen share one embedding, so that their scores are less certain.",
        "The numbers are of one seed. A difference to another model needs several seeds and a paired test.",
        "The weights come without a licence of their own. The terms of the data set apply.",
        "Embeddings of user ids may tell what these users liked.",
    ]
    if result["leaks_labels"]:
        points.insert(1, "No request knows the labels that leak here. Expect worse results in use.")
    return "\n".join(f"- {point}" for point in points)


def _positive(result: dict) -> str:
    """What the model predicts."""
    return POSITIVES.get(reader_of(result["dataset"]) or "", "a positive label")


def _settings(model: CTRModel, result: dict, unusual: Collection[str]) -> str:
    """Every one that is in force: options, and the model's own with the defaults of its constructor.

    unusual: those to mark.
    """
    config = result["config"]
    options = {name: value for name, value in config.items() if name != "model_arguments"}
    usual = {name: value for name, value in constructor_defaults(type(model)).items() if value is not None}
    arguments = usual | config["model_arguments"]
    apart = {*SCRIPT_ARGUMENTS, *idle_settings(type(model), options | arguments)} - {"dnn_dropout"}
    settings = options | {name: value for name, value in arguments.items() if name not in apart}
    settings |= {"edited": text} if (text := edited_functions(model)) else {}
    rows = [[code(name), code(_text(value)) + r" \*" * (name in unusual)] for name, value in settings.items()]
    origin = f" Defaults: {result['defaults']}." if "defaults" in result else ""
    return f"\\* is not the default.{origin}\n\n{table(['setting', 'value'], rows)}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _origin(result: dict) -> str:
    script, *words = result[RUN]["command"] or [""]
    shown = [Path(script).name if Path(script).is_absolute() else script]
    shown += [word for word in words if word not in BEGINNINGS]
    revision, changed = result[RUN]["code"]["revision"], result[RUN]["code"]["changed"]
    known = f"git revision {code(revision)}" if revision else "not known, as the code was no git checkout"
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return "\n\n".join(
        [
            code_block("shell", f"python {shlex.join(shown)}"),
            f"Code: {known}{', with changes that are not in it' if changed else ''}. Versions: {visible(versions)}. "
            f"Threads: {result['threads']}.",
        ]
    )


def _is_generated(result: dict) -> bool:
    """Data with planted preferences: the best possible AUC is known of no others."""
    return "best_possible_auc" in result


def _is_read(result: dict) -> bool:
    """Whether the data can be read again, by a reader of this project or from the folder of a `dataset.toml`."""
    return reader_of(result["dataset"]) is not None or FOLDER in result[RUN]


def _is_listed(entry: ModelEntry) -> bool:
    return entry in MODELS.values()


def _slug(name: str) -> str:
    """A name as hubs take it.

    >>> _slug("ml-1m"), _slug("Shop: clicks | 2026"), _slug("電影")
    ('ml-1m', 'shop-clicks-2026', 'unnamed')
    """
    return re.sub(r"[^a-z0-9_.-]+", "-", name.lower()).strip("-.") or "unnamed"
