"""What each public part of deepctr-torch 0.3.0 is here: the contents of docs/deepctr_torch.md.

    python tests/deepctr_table.py

rewrites the page. `test_deepctr_table.py` compares what stands here with the installed package and with the models.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent / "docs" / "deepctr_torch.md"
AS_THERE, REQUIRED = object(), object()


@dataclass(frozen=True)
class Part:
    """An argument, a method, an attribute or a name.

    here: same | more (same, and further values) | other (taken, but it means or defaults to something else, or takes
        fewer values) | absent (what stands in its place is said).
    default: ours, where it is not the one there.
    """

    name: str
    here: str
    text: str = ""
    default: Any = AS_THERE


MODELS = {"DCN": "DCN", "DeepFM": "DeepFM", "WDL": "WideDeep", "AutoInt": "AutoInt"}

CONSTRUCTORS = [
    Part("linear_feature_columns", "same", "`[]`: no linear part."),
    Part("dnn_feature_columns", "more", "The same column in both lists is one feature, as in deepctr-torch."),
    Part("use_fm", "same", "DeepFM."),
    Part("cross_num", "same", "DCN. `0`: no cross network."),
    Part("cross_parameterization", "same", "DCN."),
    Part("att_layer_num", "same", "AutoInt. `0`: no attention."),
    Part("att_head_num", "same", "AutoInt."),
    Part("att_res", "same", "AutoInt."),
    Part("dnn_hidden_units", "more", "A tuple or a list; `()`: no tower.", (300, 300, 128)),
    Part("dnn_activation", "same"),
    Part("dnn_dropout", "same"),
    Part("dnn_use_bn", "same"),
    Part("init_std", "same"),
    Part("l2_reg_linear", "other", "It is added to a mean loss, see above. AutoInt has it here, too."),
    Part("l2_reg_embedding", "other", "It is added to a mean loss, see above."),
    Part("l2_reg_dnn", "other", "It is added to a mean loss, see above."),
    Part("l2_reg_cross", "other", "DCN. It is added to a mean loss, see above.", 0.0),
    Part("seed", "more", "It also seeds the order of rows and dropout. Training repeats to the bit."),
    Part("task", "other", "Only `'binary'`. Others are refused, because these models predict clicks."),
    Part("device", "more", "Also a `torch.device`."),
    Part("gpus", "other", "One. Several GPUs are refused here and train under torchrun ([how](large_tables.md))."),
]

METHODS = [
    Part("compile", "more", "See below."),
    Part("fit", "more", "See below. It leaves the weights of the best validation AUC in the model."),
    Part("evaluate", "more", "See below."),
    Part("predict", "more", "See below. float64 of shape (rows, 1), as in deepctr-torch."),
    Part("add_auxiliary_loss", "absent", "Override `losses`, which returns loss terms by name ([how](own_model.md))."),
    Part("add_regularization_weight", "absent", "The `l2_reg_...` arguments, or a term in `losses`. There is no l1."),
    Part("get_regularization_loss", "absent", "l2 is part of the optimiser's step: the same gradient, faster."),
    Part("compute_input_dim", "absent", "Layers know their `output_size` ([a model of your own](own_model.md))."),
    Part("input_from_feature_columns", "absent", "`model.layers.embedding.FeatureEmbedding`."),
    Part("embedding_size", "absent", "`embedding_dim` of the columns."),
    Part("forward", "other", "It takes features by name and returns logits (rows). `predict` returns probabilities."),
]

ARGUMENTS = {
    "compile": [
        Part("optimizer", "more", "A name or an instance. Both learn with l2, see above.", "adam"),
        Part("loss", "more", "A name, a function or a module. `None` is the default here.", "binary_crossentropy"),
        Part(
            "metrics",
            "more",
            "`None`: all of auc, logloss, gauc that apply. In deepctr-torch `evaluate` then returns nothing.",
        ),
    ],
    "fit": [
        Part("x", "more", "A dict or list of arrays, also a `Split` or a frame of raw values.", REQUIRED),
        Part("y", "other", "Only 0 or 1, no fractions. (rows), (rows, 1), a Series or a frame."),
        Part("batch_size", "other", "`None`: 256. At least 2. A last batch of one row is left out of the epoch."),
        Part("epochs", "same", "At least 1. `0` is refused."),
        Part("verbose", "same", "The history has metrics of training rows at any value."),
        Part("initial_epoch", "same", "Below `epochs`. Another value leaves nothing to do and is refused."),
        Part("validation_split", "other", "Rows at random. deepctr-torch takes the last rows."),
        Part("validation_data", "more", "(x, y), (x, y, weights) or a `Split`. The weights count here."),
        Part("shuffle", "same"),
        Part("callbacks", "same", "Refused if no epoch has what it monitors. In deepctr-torch it never acts."),
    ],
    "evaluate": [
        Part("x", "more", "As in `fit`."),
        Part("y", "more", "As in `fit`. Leave it out with a `Split`.", None),
        Part("batch_size", "more", "`None`: 8192. It does not change the result.", None),
    ],
    "predict": [
        Part("x", "more", "As in `fit`."),
        Part("batch_size", "more", "`None`: 8192. It does not change the result.", None),
    ],
}

ATTRIBUTES = [
    Part("metrics_names", "same", '`["loss", ...]`, then the names given at `compile`.'),
    Part("optim", "same", "The given instance, or the one made from the name."),
    Part("history", "same", "Of the last `fit`. `None` before the first."),
    Part("stop_training", "same", "Set by callbacks."),
    Part("device", "other", "A `torch.device`. In deepctr-torch it is the given value."),
    Part("loss_func", "absent", "`click_loss(logits, labels, weights)`."),
    Part("metrics", "absent", "`metrics_names`. The functions are in `training.metrics`."),
    Part("dnn_feature_columns", "absent", "`columns`, all of them."),
    Part("feature_index", "absent", "`feature_names`, in the same order."),
    Part("gpus", "absent", "`device`."),
    Part("reg_loss", "absent", "l2 is part of the optimiser's step."),
    Part("regularization_weight", "absent", "`l2` has the weights by part, `l2_of(name)` that of a parameter."),
    Part("aux_loss", "absent", "`losses`."),
    Part("embedding_dict", "absent", "`embedding`: one table for all features."),
    Part("linear_model", "absent", "`linear`."),
    Part("out", "absent", "The bias is `bias`. `predict` takes the sigmoid."),
]

NAMES = {
    "Optimisers": [
        Part("sgd", "other", "The same learning rate, but with a mean loss, see above."),
        Part("adam", "more", "Also row by row, for large tables ([how](large_tables.md))."),
        Part("adagrad", "more", "Also row by row, for large tables ([how](large_tables.md))."),
        Part("rmsprop", "same"),
    ],
    "Losses": [
        Part(
            "binary_crossentropy",
            "more",
            "Also `logloss`. Computed from logits, so it is exact where a probability rounds to 0 or 1.",
        ),
        Part("mse", "same"),
        Part("mae", "same"),
    ],
    "Metrics": [
        Part("binary_crossentropy", "same"),
        Part("logloss", "same"),
        Part("auc", "more", "Over all rows of an epoch, not a mean over batches as in deepctr-torch. Also `gauc`."),
        Part("mse", "same"),
        Part("accuracy", "same", "A click is predicted where the probability exceeds 0.5."),
        Part("acc", "same"),
    ],
}

CALLBACKS = {  # the classes of the installed package
    "Callback": [],
    "CallbackList": [Part("callbacks", "same")],
    "History": [],
    "EarlyStopping": [
        Part("monitor", "more", "Any name in the history. `val_loss` works, which deepctr-torch never has."),
        Part("min_delta", "same"),
        Part("patience", "same"),
        Part("verbose", "same"),
        Part("mode", "same"),
        Part("baseline", "same"),
        Part("restore_best_weights", "other", "`fit` ends with the weights of the best validation AUC, and says so."),
    ],
    "ModelCheckpoint": [
        Part("filepath", "same", "A name in it that no epoch has is refused before training."),
        Part("monitor", "more", "As for `EarlyStopping`."),
        Part("verbose", "same"),
        Part("save_best_only", "same"),
        Part("save_weights_only", "same"),
        Part("mode", "same"),
        Part("period", "same"),
    ],
}

COLUMNS = {  # the classes of the installed package
    "SparseFeat": [
        Part("name", "same"),
        Part("vocabulary_size", "more", "Ids outside 0..vocabulary_size - 1 are refused, with name and value."),
        Part("embedding_dim", "same", "`'auto'` as in deepctr-torch. Several sizes where a model can use them."),
        Part("use_hash", "same", "Does nothing in either library, because ids are encoded before."),
        Part("dtype", "same", "Does nothing in either library. Ids are integers of any type."),
        Part("embedding_name", "same", "Columns of one name share a table."),
        Part("group_name", "same", "Does nothing in these models, in either library."),
    ],
    "VarLenSparseFeat": [
        Part("sparsefeat", "same"),
        Part("maxlen", "more", "Arrays of another width are taken with their own width."),
        Part("combiner", "same"),
        Part("length_name", "same", "How many ids of a row count, id 0 included. Without it id 0 is padding."),
    ],
    "DenseFeat": [
        Part("name", "same"),
        Part("dimension", "same"),
        Part("dtype", "same", "Does nothing in either library. Values are float32."),
    ],
}

HEAD = """# deepctr-torch's interface

This page is for people who have scripts for deepctr-torch 0.3.0 and want to use the models of this project. Change the
import of the model, and the script works here:

```python
from deepctr_torch.callbacks import EarlyStopping
from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat
from model.deepfm import DeepFM  # model.dcn.DCN, model.wdm.WideDeep (WDL), model.autoint.AutoInt

model = DeepFM(columns, columns, dnn_hidden_units=(256, 128), device="cpu")
model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy", "auc"])
model.fit(x, y, batch_size=256, epochs=10, validation_split=0.2, callbacks=[EarlyStopping("val_auc", mode="max")])
probabilities = model.predict(x)
```

The installed deepctr-torch is used for columns and callbacks. Importing version 0.3.0 needs `requests`, which it does
not declare, and starts a thread that asks a package index for newer versions. A script in this repository finds the
folder `deepctr_torch/` first, which gives the installed package without both.

## What differs

### Arguments

- **Only the two lists of columns may be given by position.** All other arguments of a constructor need their names,
  such as `use_fm=False`.
- **Options that do nothing are refused**, with a message that says why. Unknown options are refused, too.
- **A list of arrays as x** has the order of the columns, with each feature once. The array of a `length_name` comes
  directly behind its list.

### Training

- **The loss is a mean over the batch.** In deepctr-torch it is a sum. The same `l2_reg_...` is therefore stronger
  here, by a factor of the rows in a batch, so divide your value by the batch size. For sgd, multiply the learning rate
  by the batch size.
- **`fit` ends with the weights of the epoch with the best validation AUC**, if there are validation rows. AUC is
  computed whatever metrics `compile` was given. So `fit` refuses training or validation rows that all have the same
  label.
- **An instance of an optimiser** learns with l2, as an optimiser given by name does. `fit` adds the gradient 2 l2 w
  before each step, and the instance keeps its own weight decay. LBFGS and SparseAdam are refused. Row-wise steps need
  an optimiser given by name.
- **Weights of rows.** `fit(x, y, sample_weight=w)` and `evaluate(x, y, sample_weight=w)` multiply the click loss of
  each row before the mean over the rows. The weights also count in the metrics. Other losses weigh all rows alike. A
  model that overrides `losses` without `super()` finds the weights in `output.weights`. A `Split` takes no weights.
- **A loss of your own** is called as in deepctr-torch, `loss(probabilities, labels, reduction="sum")`. With weights of
  rows it is called with `reduction="none"` and must return one number a row.

### Results and files

- **The history** has the names given at `compile`, with `val_` before those of validation rows. It also has the names
  of this project: `auc`, `logloss`, `seconds`, `rows_per_second`, and each term of the loss. `gauc` is only measured
  on validation rows. `loss` and `val_loss` are without l2, which is part of `loss` in deepctr-torch.
- **Whole models in files.** `torch.save(model, path)` and plain `torch.load(path)` work for a model that was trained
  on arrays, with its optimiser and history. A model that was trained on a `Split` knows its encoding, and a model with
  a loss function of your own holds this function. Both need `torch.load(path, weights_only=False)`.
  `model.save(folder)` and `model.load_model` do not need this option, and they still work after the code has changed
  ([checkpoints](checkpoints.md)).

## Tables

- *same*: as in deepctr-torch;
- *more*: as in deepctr-torch, and further values;
- *other*: accepted, but with another meaning or default, or with fewer values;
- *absent*: not here; the note says what replaces it.

`python tests/deepctr_table.py` writes these tables, and a test compares them with the installed package.
"""


def page() -> str:
    """The whole of docs/deepctr_torch.md."""
    sections = [
        ("Constructors of DCN, DeepFM, WDL (`WideDeep`) and AutoInt", CONSTRUCTORS),
        ("Methods", METHODS),
        *((f"`{method}`", parts) for method, parts in ARGUMENTS.items()),
        ("Attributes", ATTRIBUTES),
        *((f"{kind} by name", parts) for kind, parts in NAMES.items()),
        *((f"Callbacks: `{name}`", parts) for name, parts in CALLBACKS.items() if parts),
        *((f"Feature columns: `{name}`", parts) for name, parts in COLUMNS.items()),
    ]
    head = "| deepctr-torch | here | |\n|---|---|---|"
    tables = [f"\n### {title}\n\n{head}\n{_lines(parts)}" for title, parts in sections]
    return HEAD + "".join(tables)


def _lines(parts: list[Part]) -> str:
    return "".join(f"| `{part.name}` | {part.here} | {_text(part)} |\n" for part in parts)


def _text(part: Part) -> str:
    if part.default is AS_THERE:
        return part.text
    return f"{part.text} {'Required.' if part.default is REQUIRED else f'Default `{part.default!r}`.'}".strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
