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
    Part("dnn_feature_columns", "more", "The same column in both lists is one feature, as there."),
    Part("use_fm", "same", "DeepFM."),
    Part("cross_num", "same", "DCN. 0: no cross network."),
    Part("cross_parameterization", "same", "DCN."),
    Part("att_layer_num", "same", "AutoInt. 0: no attention."),
    Part("att_head_num", "same", "AutoInt."),
    Part("att_res", "same", "AutoInt."),
    Part("dnn_hidden_units", "more", "A tuple or a list; `()`: no tower.", (300, 300, 128)),
    Part("dnn_activation", "same"),
    Part("dnn_dropout", "same"),
    Part("dnn_use_bn", "same"),
    Part("init_std", "same"),
    Part("l2_reg_linear", "other", "Beside a mean loss; see above. AutoInt has it here, too."),
    Part("l2_reg_embedding", "other", "Beside a mean loss; see above."),
    Part("l2_reg_dnn", "other", "Beside a mean loss; see above."),
    Part("l2_reg_cross", "other", "DCN. Beside a mean loss; see above.", 0.0),
    Part("seed", "more", "Also of the order of rows and of dropout: training repeats to the bit."),
    Part("task", "other", "`'binary'` alone; others are refused, because these models predict clicks."),
    Part("device", "more", "Also a `torch.device`."),
    Part("gpus", "other", "One; several are refused, because they train under torchrun ([how](large_tables.md))."),
]

METHODS = [
    Part("compile", "more", "Below."),
    Part("fit", "more", "Below. The weights of the epoch with the best validation AUC are left in the model."),
    Part("evaluate", "more", "Below."),
    Part("predict", "more", "Below. float64 of shape (rows, 1), as there."),
    Part("add_auxiliary_loss", "absent", "Override `losses`, which returns loss terms by name ([how](own_model.md))."),
    Part("add_regularization_weight", "absent", "The `l2_reg_...` arguments, or a term in `losses`. There is no l1."),
    Part("get_regularization_loss", "absent", "l2 is part of the optimiser's step: the same gradient, but faster."),
    Part("compute_input_dim", "absent", "Layers know their `output_size` ([a model of your own](own_model.md))."),
    Part("input_from_feature_columns", "absent", "`model.layers.embedding.FeatureEmbedding`."),
    Part("embedding_size", "absent", "`embedding_dim` of the columns."),
    Part("forward", "other", "Takes features by name, and returns logits (rows); `predict` returns probabilities."),
]

ARGUMENTS = {
    "compile": [
        Part("optimizer", "more", "A name or an instance; both learn with l2, see above.", "adam"),
        Part("loss", "more", "A name, a function or a module. `None` is the default here.", "binary_crossentropy"),
        Part(
            "metrics", "more", "`None`: all of auc, logloss, gauc that apply, where `evaluate` returns nothing there."
        ),
    ],
    "fit": [
        Part("x", "more", "A dict or list of arrays as there, also a `Split` or a frame of raw values.", REQUIRED),
        Part("y", "other", "0 or 1 alone, where fractions are taken there. (rows), (rows, 1), a Series or a frame."),
        Part("batch_size", "other", "`None`: 256. At least 2; a last batch of one row is left out of the epoch."),
        Part("epochs", "same", "At least 1; 0 is refused."),
        Part("verbose", "same", "Metrics of training rows are in the history whatever it is."),
        Part("initial_epoch", "same", "Below `epochs`; otherwise there would be nothing to do, and it is refused."),
        Part("validation_split", "other", "Rows at random, where it is the last rows there."),
        Part("validation_data", "more", "(x, y), (x, y, weights), whose weights count here, or a `Split`."),
        Part("shuffle", "same"),
        Part("callbacks", "same", "One that monitors what no epoch has is refused, where it never acts there."),
    ],
    "evaluate": [
        Part("x", "more", "As in `fit`."),
        Part("y", "more", "As in `fit`; none beside a `Split`.", None),
        Part("batch_size", "more", "`None`: 8192. It does not change the result.", None),
    ],
    "predict": [
        Part("x", "more", "As in `fit`."),
        Part("batch_size", "more", "`None`: 8192. It does not change the result.", None),
    ],
}

ATTRIBUTES = [
    Part("metrics_names", "same", '`["loss", ...]`, then the names given at `compile`.'),
    Part("optim", "same", "The instance that was given, or that of the name."),
    Part("history", "same", "Of the last `fit`; `None` before the first."),
    Part("stop_training", "same", "Set by callbacks."),
    Part("device", "other", "A `torch.device`, where it is what was given there."),
    Part("loss_func", "absent", "`click_loss(logits, labels, weights)`."),
    Part("metrics", "absent", "`metrics_names`; the functions are in `training.metrics`."),
    Part("dnn_feature_columns", "absent", "`columns`, all of them."),
    Part("feature_index", "absent", "`feature_names`, in the same order."),
    Part("gpus", "absent", "`device`."),
    Part("reg_loss", "absent", "l2 is part of the optimiser's step."),
    Part("regularization_weight", "absent", "`l2`: the weights by part; `l2_of(name)`: that of a parameter."),
    Part("aux_loss", "absent", "`losses`."),
    Part("embedding_dict", "absent", "`embedding`: one table for all features."),
    Part("linear_model", "absent", "`linear`."),
    Part("out", "absent", "The bias is `bias`; the sigmoid is taken by `predict`."),
]

NAMES = {
    "Optimisers": [
        Part("sgd", "other", "With the learning rate there, beside a mean loss; see above."),
        Part("adam", "more", "Also row by row, for large tables ([how](large_tables.md))."),
        Part("adagrad", "more", "Also row by row, for large tables ([how](large_tables.md))."),
        Part("rmsprop", "same"),
    ],
    "Losses": [
        Part(
            "binary_crossentropy", "more", "Also `logloss`. From logits, so exact where a probability rounds to 0 or 1."
        ),
        Part("mse", "same"),
        Part("mae", "same"),
    ],
    "Metrics": [
        Part("binary_crossentropy", "same"),
        Part("logloss", "same"),
        Part("auc", "more", "Of all rows of an epoch, where training has a mean over batches there. Also `gauc`."),
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
        Part("monitor", "more", "Any name in the history, `val_loss` among them, which no epoch has there."),
        Part("min_delta", "same"),
        Part("patience", "same"),
        Part("verbose", "same"),
        Part("mode", "same"),
        Part("baseline", "same"),
        Part("restore_best_weights", "other", "`fit` ends with the weights of the best validation AUC, and says so."),
    ],
    "ModelCheckpoint": [
        Part("filepath", "same", "A validation figure in it that no epoch has is refused before training."),
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
        Part("vocabulary_size", "more", "Ids outside 0..vocabulary_size - 1 are refused by name and value."),
        Part("embedding_dim", "same", "`'auto'` as there. Several sizes where a model has a use for them."),
        Part("use_hash", "same", "Does nothing, there and here: ids are encoded before."),
        Part("dtype", "same", "Does nothing, there and here: ids are integers of any type."),
        Part("embedding_name", "same", "Columns of one name share a table."),
        Part("group_name", "same", "Does nothing in these models, there and here."),
    ],
    "VarLenSparseFeat": [
        Part("sparsefeat", "same"),
        Part("maxlen", "more", "Arrays of another width are taken at their own."),
        Part("combiner", "same"),
        Part("length_name", "same", "So many ids of a row count, id 0 among them. Without it id 0 is padding."),
    ],
    "DenseFeat": [
        Part("name", "same"),
        Part("dimension", "same"),
        Part("dtype", "same", "Does nothing, there and here: values are float32."),
    ],
}

HEAD = """# deepctr-torch's interface

Scripts that use deepctr-torch work here when the import of the model is changed:

```python
from deepctr_torch.callbacks import EarlyStopping
from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat
from model.deepfm import DeepFM  # model.dcn.DCN, model.wdm.WideDeep (there WDL), model.autoint.AutoInt

model = DeepFM(columns, columns, dnn_hidden_units=(256, 128), device="cpu")
model.compile("adam", "binary_crossentropy", metrics=["binary_crossentropy", "auc"])
model.fit(x, y, batch_size=256, epochs=10, validation_split=0.2, callbacks=[EarlyStopping("val_auc", mode="max")])
probabilities = model.predict(x)
```

Importing deepctr-torch 0.3.0 needs `requests`, which it does not declare, and starts a thread that asks a package index
for newer versions. A script in this repository finds `deepctr_torch/` here first, which is the installed package
without both.

## What differs

- **The loss is a mean over the batch**, there it is a sum. With the same `l2_reg_...`, l2 is therefore stronger here
  by the number of rows in a batch: divide what you used there by the batch size. For sgd, multiply the learning rate
  by it.
- **Arguments of a constructor behind the two lists of columns have names**: `use_fm=False`, not a third place.
- **Options that do nothing are refused**, with a message that says why, and so are unknown ones.
- **`fit` ends with the weights of the epoch with the best validation AUC**, where there are validation rows.
  AUC is computed whatever was named at `compile`, so that training and validation rows of one class are refused.
- **An instance of an optimiser** learns with l2 as its name does: `fit` adds the gradient 2 l2 w before each step,
  beside the weight decay that the instance has itself. LBFGS and SparseAdam are refused, and row-wise steps need a
  name.
- **Weights of rows**: `fit(x, y, sample_weight=w)` and `evaluate(x, y, sample_weight=w)` multiply the click loss of
  each row before the mean over the rows, and count in the metrics. Losses beside the click loss weigh rows alike; a
  model that overrides `losses` without `super()` finds the weights in `output.weights`. A `Split` takes none.
- **A loss of your own** is called as there, `loss(probabilities, labels, reduction="sum")`; with weights of rows it is
  called with `reduction="none"` and must return one number a row.
- **A list of arrays as x** is in the order of the columns, each feature once, a `length_name` directly behind its list.
- **The history** has the names given at `compile`, with `val_` before those of validation rows, and this project's own:
  `auc`, `logloss`, `seconds`, `rows_per_second`, and each term of the loss. `loss` and `val_loss`
  are without l2, which is part of `loss` there. `gauc` is of validation rows alone.
- **Whole models in files**: `torch.save(model, path)` and plain `torch.load(path)` work for a model that was trained on
  arrays, optimiser and history included. One that was trained on a `Split` knows its encoding, and one with a loss
  function of your own holds that: these take `torch.load(path, weights_only=False)`. `model.save(folder)` and
  `model.load_model` do not need that, and still work when the code has changed ([checkpoints](checkpoints.md)).

## Tables

*same*: as there; *more*: as there, and further values; *other*: taken, but it means or defaults to something else, or
takes fewer values; *absent*: what stands in its place. Written by `python tests/deepctr_table.py`; a test compares it
with the installed package.
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
    tables = [f"\n### {title}\n\n| there | here | |\n|---|---|---|\n{_lines(parts)}" for title, parts in sections]
    return HEAD + "".join(tables)


def _lines(parts: list[Part]) -> str:
    return "".join(f"| `{part.name}` | {part.here} | {_text(part)} |\n" for part in parts)


def _text(part: Part) -> str:
    if part.default is AS_THERE:
        return part.text
    return f"{part.text} {'Required.' if part.default is REQUIRED else f'Default `{part.default!r}`.'}".strip()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
