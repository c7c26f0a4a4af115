"""Released forms are served; the cosine of MVKE and Poly-Encoder by its `forward`, neither explained nor exported."""

from __future__ import annotations

import pytest
from serving_helpers import Reference, dataset, random_model, ranker_of

from foundation.errors import InputError
from model.released import released_settings
from serving.explain import explain
from serving.export import export_onnx


@pytest.fixture(scope="module")
def data():
    return dataset()


@pytest.fixture(params=["mvke", "poly_encoder"])
def served(request, data, tmp_path):
    model = random_model(request.param, data, cosine=True)
    return ranker_of(tmp_path / request.param, model, data, "float32"), model


def test_ranks_as_it_predicts(served, data):
    ranker, model = served
    reference = Reference(model, data)
    for user in reference.users[:3]:
        ranking = ranker.rank(user, k=5)
        everything = reference(user, reference.items)
        assert ranking.scores == pytest.approx(reference(user, ranking.items.tolist()), abs=1e-5)
        assert ranker.score(user, reference.items) == pytest.approx(everything, abs=1e-5)
        assert ranking.scores[0] == pytest.approx(everything.max(), abs=1e-5)
        assert everything.std() > 1e-4


def test_what_needs_sums_is_refused(served):
    ranker, _ = served
    with pytest.raises(InputError, match="has a forward alone"):
        explain(ranker, 107, [5000])
    with pytest.raises(InputError, match="has a forward alone"):
        export_onnx(ranker.state.run)
    with pytest.raises(InputError, match="is no product of one user vector with one item vector"):
        ranker.item_vectors()


@pytest.mark.parametrize("name", ["int_tower", "hit", "dssm", "dat"])
def test_other_released_forms_are_served_and_exported(name, data, tmp_path):
    settings = released_settings(name, "movielens")
    switches = ("tower_bias", "relu_output", "fe_input", "fe_bias", "fe_sum", "light_se_bias", "generator_relu")
    arguments = {key: settings[key] for key in switches if key in settings}
    model = random_model(name, data, **arguments)
    ranker, reference = ranker_of(tmp_path / name, model, data), Reference(model, data)
    for user in reference.users[:2]:
        ranking = ranker.rank(user, k=5)
        assert ranking.scores == pytest.approx(reference(user, ranking.items.tolist()), abs=1e-5)
    export_onnx(ranker.state.run)  # which compares its programs with torch
