"""The four models that deepctr-torch has too: the same logits and the same l2 with its weights, over every option.

What cannot be compared, because deepctr-torch 0.3.0 fails or is something else there, is left out by construction:

- A list of padding alone has the maximum -1e9 there, and 0 here. Its maximum over a list with `length_name` fails.
- "dice" fails in its towers: its layer is put into them by hand.
- DCN without a tower fails; AutoInt with interacting layers fails where two fields share a table, and AutoInt of dense
  columns alone always. Here they work, or are refused with a reason (`tests/model/test_parts.py`).
- Its DCN ignores l2_reg_linear for the linear part, and has it on the head, which has l2_reg_dnn here. Its AutoInt has
  no l2_reg_linear. Embeddings that no part reads do not exist here, and have l2 there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from deepctr_torch.inputs import build_input_features
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from model.autoint import AutoInt
from model.dcn import DCN
from model.deepfm import DeepFM
from model.effects import constructor_defaults
from model.wdm import WideDeep
from preprocessing.arrays import Arrays

ROWS = 6
ACTIVATIONS = ("relu", "sigmoid", "linear", "prelu", "dice", nn.Tanh)


def theirs_of(name: str):
    """deepctr-torch's class, imported behind `foundation.deepctr`, which keeps it from the network."""
    from deepctr_torch import models

    return getattr(models, name)


@dataclass(frozen=True)
class Case:
    linear: list
    dnn: list
    settings: dict
    seed: int


@st.composite
def columns(draw, several_sizes: bool, shared: bool, dense_alone: bool) -> list:
    """Up to three columns of each kind; a list may share the table of a sparse feature."""
    kinds = ["sparse", "list", "dense"]
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=5))
    if not dense_alone and set(chosen) == {"dense"}:
        chosen.append(draw(st.sampled_from(kinds[:2])))
    dims = st.sampled_from([2, 4]) if several_sizes else st.just(draw(st.sampled_from([2, 4])))
    made: list = []
    for place, kind in enumerate(chosen):
        name = f"{kind}{place}"
        if kind == "dense":
            made.append(DenseFeat(name, draw(st.integers(1, 2))))
            continue
        column = SparseFeat(name, draw(st.integers(2, 6)), draw(dims))
        others = [one for one in made if isinstance(one, SparseFeat)]
        if shared and others and draw(st.booleans()):
            other = draw(st.sampled_from(others))
            column = SparseFeat(name, other.vocabulary_size, other.embedding_dim, embedding_name=other.embedding_name)
        if kind == "list":
            combiner = draw(st.sampled_from(["mean", "sum", "max"]))
            length = f"{name}_length" if combiner != "max" and draw(st.booleans()) else None
            column = VarLenSparseFeat(column, draw(st.integers(1, 4)), combiner, length)
        made.append(column)
    return made


SETTINGS = {
    "WDL": {},
    "DeepFM": {"use_fm": st.booleans()},
    "DCN": {
        "cross_num": st.integers(0, 3),
        "cross_parameterization": st.sampled_from(["vector", "matrix"]),
        "l2_reg_cross": st.sampled_from([0.0, 0.3]),
    },
    "AutoInt": {"att_layer_num": st.integers(0, 2), "att_head_num": st.sampled_from([1, 2]), "att_res": st.booleans()},
}
OURS = {"WDL": WideDeep, "DeepFM": DeepFM, "DCN": DCN, "AutoInt": AutoInt}


@st.composite
def cases(draw, name: str) -> Case:
    settings = draw(st.fixed_dictionaries(SETTINGS[name]))
    settings["dnn_hidden_units"] = draw(st.sampled_from([(), (3,), [4, 3]]))
    if settings.get("cross_num") == 0 or settings.get("att_layer_num") == 0 or name == "DCN":
        settings["dnn_hidden_units"] = draw(st.sampled_from([(3,), [4, 3]]))
    if settings["dnn_hidden_units"]:
        settings |= {"dnn_use_bn": draw(st.booleans()), "dnn_activation": draw(st.sampled_from(ACTIVATIONS))}
        settings["l2_reg_dnn"] = draw(st.sampled_from([0.0, 0.2]))
    if settings.get("cross_num") == 0:
        del settings["cross_parameterization"], settings["l2_reg_cross"]
    if settings.get("att_layer_num") == 0:
        del settings["att_head_num"], settings["att_res"]
    several = name in ("WDL", "DCN") or settings.get("use_fm") is False
    dnn = draw(columns(several, shared=name != "AutoInt", dense_alone=name != "AutoInt"))
    linear = draw(st.sampled_from([dnn, dnn[::-1], dnn[:1], []]))
    if name in ("WDL", "DeepFM") and linear and draw(st.integers(0, 9)) == 0:
        dnn = []
        settings = {key: value for key, value in settings.items() if key in ("use_fm", "dnn_hidden_units")}
    return Case(linear, dnn, settings, draw(st.integers(0, 99)))


def reads_embeddings(name: str, case: Case) -> bool:
    settings = {**constructor_defaults(OURS[name]), **case.settings, "dnn_feature_columns": case.dnn}
    return OURS[name].reads_fields(settings)


def inputs(case: Case) -> dict[str, np.ndarray]:
    rng, x = np.random.default_rng(case.seed), {}
    for column in {column.name: column for column in [*case.linear, *case.dnn]}.values():
        if isinstance(column, DenseFeat):
            x[column.name] = rng.normal(size=(ROWS, column.dimension)).astype(np.float32)
            continue
        shape = (ROWS, column.maxlen) if isinstance(column, VarLenSparseFeat) else ROWS
        x[column.name] = rng.integers(0, column.vocabulary_size, shape)
        if isinstance(column, VarLenSparseFeat):
            if column.combiner == "max":
                x[column.name][:, 0] = 1
            if column.length_name:
                x[column.length_name] = rng.integers(0, column.maxlen + 1, ROWS)
    return x


def build_theirs(name: str, case: Case, **l2) -> nn.Module:
    settings = case.settings | l2
    dice = settings.get("dnn_activation") == "dice"
    model = theirs_of(name)(case.linear, case.dnn, **(settings | ({"dnn_activation": "relu"} if dice else {})))
    if dice and hasattr(model, "dnn"):
        from deepctr_torch.layers.activation import Dice

        model.dnn.activation_layers = nn.ModuleList(Dice(layer.out_features) for layer in model.dnn.linears)
    generator = torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                drawn = 0.5 * torch.randn(value.shape, generator=generator)
                value.copy_(drawn.abs() + 0.5 if "running_var" in key else drawn)
        for module in model.modules():
            if type(module).__name__ == "Dice":  # the paper's batch norm has no weights
                module.bn.reset_parameters()
                module.bn.running_mean.fill_(0.3)
    model.out.task = "regression"  # logits
    return model.double().eval()


@torch.no_grad()
def transplant(name: str, case: Case, theirs: nn.Module, ours: nn.Module) -> None:
    for part, tables in (
        (ours.embedding, theirs.embedding_dict),
        (ours.linear.ids, theirs.linear_model.embedding_dict),
    ):
        for table in tables if part.num_fields else ():
            part.table(table).copy_(tables[table].weight)
    if ours.linear.dense is not None:
        ours.linear.dense.weight.copy_(theirs.linear_model.weight.T)
    if ours.tower is not None:
        for place, layer in enumerate(ours.tower.layers):
            linear, *norms, activation, _ = layer
            linear.weight.copy_(theirs.dnn.linears[place].weight)
            bias = theirs.dnn.linears[place].bias
            if norms:  # whose bias does for both
                norms[0].load_state_dict(theirs.dnn.bn[place].state_dict())
                norms[0].running_mean.sub_(bias)
            else:
                linear.bias.copy_(bias)
            state = theirs.dnn.activation_layers[place].state_dict()
            state = {key.replace("bn.", "standardised."): value for key, value in state.items()}
            activation.load_state_dict({key: state[key] for key in activation.state_dict()})
    beside = {"DCN": "cross", "AutoInt": "interacting"}.get(name)
    if beside and getattr(ours, beside) is not None:
        head = getattr(ours, f"{beside}_head").weight
        head.copy_(theirs.dnn_linear.weight[:, : head.shape[1]])
    if ours.head is not None:
        ours.head.weight.copy_(theirs.dnn_linear.weight[:, -ours.head.in_features :])
    if name == "DCN" and ours.cross is not None:
        ours.cross.load_state_dict(theirs.crossnet.state_dict())
    if name == "AutoInt" and ours.interacting is not None:
        for layer, other in zip(ours.interacting, theirs.int_layers, strict=True):
            maps = [other.W_Query, other.W_key, other.W_Value, *([other.W_Res] if other.use_res else [])]
            layer.weight.copy_(torch.cat(maps, dim=1))
    ours.bias.copy_(theirs.out.bias.squeeze())


def pair(name: str, case: Case, **l2) -> tuple[nn.Module, nn.Module]:
    theirs = build_theirs(name, case, **l2)
    ours = OURS[name](case.linear, case.dnn, **(case.settings | l2)).double().eval()
    transplant(name, case, theirs, ours)
    return theirs, ours


@pytest.mark.parametrize("name", OURS)
@given(draws=st.data())
def test_logits_equal_deepctr_torchs(name, draws):
    case = draws.draw(cases(name))
    theirs, ours = pair(name, case)
    x = inputs(case)
    names = build_input_features([*case.linear, *case.dnn])
    matrix = np.concatenate([x[key].reshape(ROWS, -1).astype(np.float64) for key in names], axis=1)
    source = Arrays.check(x, None, ours.columns, None)
    features = source.batch(torch.arange(ROWS), ours.feature_names)
    features = {
        key: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
        for key, value in features.items()
    }
    with torch.no_grad():
        torch.testing.assert_close(ours(features), theirs(torch.from_numpy(matrix)).squeeze(1), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("name", OURS)
@given(draws=st.data())
def test_l2_equals_deepctr_torchs(name, draws):
    case = draws.draw(cases(name))
    weights = {"l2_reg_embedding": 0.1} if reads_embeddings(name, case) else {}
    weights |= {"l2_reg_linear": 0.4} if case.linear and name in ("WDL", "DeepFM") else {}
    theirs, ours = pair(name, case, **weights)
    own = {"DCN": ("head", "cross_head"), "AutoInt": ("linear",)}.get(name, ())  # see the top
    terms = [
        ours.l2_of(key) * value.detach().square().sum().item()
        for key, value in ours.named_parameters()
        if key.partition(".")[0] not in own
    ]
    apart = [] if reads_embeddings(name, case) else list(theirs.embedding_dict.parameters())
    apart += [theirs.dnn_linear.weight] if name == "DCN" else []
    theirs.regularization_weight = [
        (group, l1, l2)
        for group, l1, l2 in theirs.regularization_weight
        if not any(one is other for one in group for other in apart)
    ]
    assert sum(terms) == pytest.approx(theirs.get_regularization_loss().item(), rel=1e-5)


COLUMNS = [
    SparseFeat("user", 5, 4),
    VarLenSparseFeat(SparseFeat("tags", 4, 4), 3, "mean", "count"),
    VarLenSparseFeat(SparseFeat("liked", 6, 4), 2, "sum"),
    DenseFeat("price", 2),
]
L2 = {"l2_reg_embedding": 0.3}
STEPS = {
    "WDL": ("WDL", L2 | {"l2_reg_linear": 0.4, "l2_reg_dnn": 0.2}),
    "DeepFM": ("DeepFM", L2 | {"l2_reg_linear": 0.4, "l2_reg_dnn": 0.2}),
    "DCN, vector": ("DCN", L2 | {"l2_reg_cross": 0.3}),
    "DCN, matrix": ("DCN", L2 | {"l2_reg_cross": 0.3, "cross_parameterization": "matrix"}),
    "AutoInt": ("AutoInt", L2 | {"l2_reg_dnn": 0.2}),
}


@pytest.mark.parametrize("steps", STEPS)
def test_steps_of_sgd_equal_deepctr_torchs(steps):
    """Its loss is a sum: here the learning rate is as many times larger, and l2 smaller, as a batch has rows."""
    name, settings = STEPS[steps]
    case, batch = Case(COLUMNS, COLUMNS, settings | {"dnn_hidden_units": (4, 3)}, seed=5), 2
    theirs = build_theirs(name, case).float()
    theirs.out.task = "binary"
    here = case.settings | {key: value / batch for key, value in settings.items() if key.startswith("l2_reg")}
    ours, expected, start = (OURS[name](COLUMNS, COLUMNS, **here) for _ in range(3))
    for model in (ours, start):
        transplant(name, case, theirs, model)
    for model, rate in ((theirs, 0.01), (ours, 0.01 * batch)):
        model.compile(torch.optim.SGD(model.parameters(), lr=rate), "binary_crossentropy")
        model.fit(inputs(case), np.arange(ROWS) // 2 % 2, batch_size=batch, epochs=2, verbose=0, shuffle=False)
    transplant(name, case, theirs, expected)
    torch.testing.assert_close(dict(ours.named_parameters()), dict(expected.named_parameters()), atol=2e-6, rtol=2e-5)
    moved = [(one - other).abs().max().item() for one, other in zip(ours.parameters(), start.parameters(), strict=True)]
    assert min(moved) > 1e-4
