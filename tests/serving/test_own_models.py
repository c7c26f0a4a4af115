"""A model that is not in this repository is served, explained and exported by what its interaction says."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from own_models import Distance, DistantHeads, Farther, Heads, MeanHeads, Mine, enter, page_module
from serving_helpers import Reference, dataset, random_model, ranker_of

from foundation.errors import InputError
from model.IntTower import IntTower
from serving.explain import explain
from serving.export import export_onnx

ADDITIVE = {"Mine": Mine, "Bilinear": page_module().Bilinear, "Heads": Heads, "MeanHeads": MeanHeads}
PLAIN = {"DistantHeads": DistantHeads, "Farther": Farther}
EVERY = ADDITIVE | PLAIN
INT_TOWER = {"field_dim": 4, "user_head": 2, "item_head": 3}


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture
def served(data, tmp_path, monkeypatch):
    """Class -> ranker, model"""

    def serve(model_class, precision="float32", **arguments):
        name = enter(monkeypatch, model_class)
        sizes = INT_TOWER if model_class in (Mine, Farther) else {}
        model = random_model(name, data, **(sizes | arguments))
        return ranker_of(tmp_path / f"{name}-{precision}", model, data, precision), model

    return serve


@pytest.mark.parametrize("title", EVERY)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_ranks_as_it_predicts(title, precision, served, data):
    ranker, model = served(EVERY[title], precision)
    reference = Reference(model, data)
    for user in reference.users[:3]:
        ranking = ranker.rank(user, k=5)
        assert ranking.scores == pytest.approx(reference(user, ranking.items.tolist()), abs=1e-5)
        everything = reference(user, reference.items)
        assert ranker.score(user, reference.items) == pytest.approx(everything, abs=1e-5)
        assert everything.max() <= ranking.scores[0] + 1e-5
        assert everything.std() > 1e-4
    assert ranker.state.scorer.is_plain == (title in PLAIN)


@pytest.mark.parametrize("title", ["Mine", "Heads", "MeanHeads"])
def test_terms_of_several_vectors_are_explained(title, served):
    ranker, model = served(EVERY[title])
    ranking = ranker.rank(107, k=6)
    explanation = explain(ranker, 107, ranking.items.tolist())
    assert explanation.terms.sum(1) + model.interaction.bias.item() == pytest.approx(ranking.logits, abs=1e-4)
    names = {
        "Mine": [f"level {level}, head {head}" for level in (1, 2) for head in (1, 2)],
        "Heads": ["head 1", "head 2"],
        "MeanHeads": ["part 1", "part 2"],
    }
    assert explanation.names == names[title]
    assert set(explanation.field_weights) == ({"user", "item"} if title == "Mine" else set())


def test_levels_of_a_subclass_are_chosen(served):
    ranker, _ = served(Mine)
    assert explain(ranker, 107, [5000], levels="last").names == ["level 2, head 1", "level 2, head 2"]
    assert ranker.rank(107, k=3, levels=[1]).logits != pytest.approx(ranker.rank(107, k=3).logits)


@pytest.mark.parametrize("title", ["Mine", "Bilinear", "MeanHeads"])
def test_is_exported(title, served):
    ranker, _ = served(EVERY[title])
    export_onnx(ranker.state.run)  # which compares the three programs with torch
    scorer = onnxruntime.InferenceSession(ranker.state.run / "onnx" / "scorer.onnx")
    assert [one.name for one in scorer.get_inputs()] == ["query", "item"]


@pytest.mark.parametrize("title", ["Bilinear", "Mine", "Heads"])
def test_an_inner_product_has_vectors_for_another_index(title, served):
    one_head = {"Mine": {"item_head": 1}, "Heads": {"dnn_hidden_units": (16, 4)}, "Bilinear": {}}
    ranker, model = served(EVERY[title], **one_head[title])
    ids, vectors = ranker.item_vectors()
    logits = ranker.user_vectors([107])[0] @ vectors.T + model.interaction.bias.item()
    order = np.argsort(-logits)
    ranking = ranker.rank(107, k=len(ids))
    assert ids[order][:20].tolist() == ranking.items[:20].tolist()
    assert logits[order] == pytest.approx(ranking.logits, abs=1e-4)


class TestForwardAlone:
    @pytest.mark.parametrize("title", PLAIN)
    def test_errors_say_so(self, title, served):
        ranker, _ = served(EVERY[title])
        with pytest.raises(InputError, match=r"has a forward alone.*Leave --explain out"):
            explain(ranker, 107, [5000])
        with pytest.raises(InputError, match=r"has a forward alone.*Derive it from AdditiveInteraction"):
            export_onnx(ranker.state.run)
        with pytest.raises(InputError, match="is no product of one user vector with one item vector"):
            ranker.item_vectors()

    def test_levels_are_not_there_to_choose(self, served):
        with pytest.raises(InputError, match="Only IntTower has levels"):
            served(Farther)[0].rank(107, levels="last")


def test_logits_of_another_shape_are_refused(data, monkeypatch):
    monkeypatch.setattr(Distance, "forward", lambda self, users, items: (users @ items.mT).amax(2))
    model = random_model(enter(monkeypatch, DistantHeads), data)
    model.compile(loss="mse")  # which torch would take over all pairs of rows
    with pytest.raises(InputError, match=r"one logit a row, in shape \(rows\)\. Received: \(192, 2\)"):
        model.fit(data.train, verbose=0)


def test_one_encoder_changed_beside_what_is_trained_is_refused(data):
    class Half(IntTower):
        """Changes what is served, and not the logits that `IntTower.output` trains."""

        def encode_user(self, features):
            return -super().encode_user(features)

    model = random_model("int_tower", data)
    assert model.predict(data.test).std() > 0.01
    model.__class__ = Half
    for ask in (model.predict, model.evaluate):
        with pytest.raises(InputError, match=r"Half trains on the logits of its `output`.*override `output`"):
            ask(data.test)


@pytest.mark.parametrize("title", EVERY)
def test_trains(title, data, monkeypatch):
    model = random_model(enter(monkeypatch, EVERY[title]), data).train()
    batch = data.train.batch(torch.arange(20), model.feature_names)
    output = model.output(batch)
    assert output.logits.shape == (20,)
    sum(model.losses(batch, data.train.labels[:20], output).values()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)
    for side in ("user", "item"):
        assert any(name.startswith(side) and gradient.abs().sum() > 0 for name, gradient in gradients.items())
