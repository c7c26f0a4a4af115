"""The ways to score that the benchmark times compute the same logits."""

from __future__ import annotations

import json
import re

import pytest
import torch
from script_helpers import script

from benchmarks import latency
from benchmarks.generated_run import make_model
from foundation.errors import InputError
from leaderboard.speed import requests_table, serving_table


@pytest.mark.parametrize("title", latency.SHAPES)
def test_contenders_agree(title):
    name, arguments = latency.SHAPES[title]
    torch.manual_seed(0)
    with torch.inference_mode():
        actions, flops = latency.scoring_contenders(make_model(name, 300, **arguments), 120)
        expected = actions["plain torch"]().flatten()
        for way, most in (("published", 1e-4), ("float32", 1e-4), ("bfloat16", 0.02), ("int8", 0.05)):
            found = actions[way]().flatten()
            assert found.shape == (120,)
            assert (found - expected).abs().max() <= most * expected.abs().max(), way
        one_vector = title in ("dssm", "dat", "int_tower 1 head", "hit 1 head")
        assert ("faiss top 100" in actions) == one_vector
        if one_vector:
            assert actions["faiss top 100"]()[0] == pytest.approx(torch.topk(expected, 100).values[None], abs=1e-3)
    assert flops > 0


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["scoring", "--users", "3"], "`scoring` does not read --users"),
        (["scoring", "--precisions", "int8", "--folder", "x"], "`scoring` does not read --precisions, --folder"),
        (["scoring", "--items", "10", "20"], "`scoring` measures one value of --items"),
        (["scoring", "--models", "deep_fm"], "`scoring` measures dssm"),
        (["million", "--models", "hit"], "`million` does not read --models"),
        (["million", "--threads", "1", "2"], "`million` measures one value of --threads"),
        (["million", "--precisions", "int8", "float32"], "`million` measures one value of --precisions"),
        (["requests", "--items", "0"], "0 is out of range"),
        (["requests", "--seconds", "0"], "0 is out of range"),
        (["everything"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_part_does_not_read_is_refused(argv, said):
    with pytest.raises(InputError, match=re.escape(said)):
        latency.parse(argv)


def test_one_head_is_measured_and_has_a_row_in_each_table(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("leaderboard.speed.USUAL_ITEMS", 64)
    measured = {}
    for part in ("scoring", "requests"):
        path = tmp_path / f"{part}.json"
        argv = ["--models", "int_tower 1 head", "hit 1 head", "--items", 64, "--seconds", 0.001, "--json", path]
        argv += ["--users", 1, "--folder", tmp_path] if part == "requests" else []
        assert script(latency.main, part, *argv) == 0
        measured[part] = json.loads(path.read_text())
        assert {row["model"] for row in measured[part]} == {"int_tower 1 head", "hit 1 head"}
    for table in (serving_table(measured["requests"], measured["scoring"]), requests_table(measured["requests"])):
        assert "IntTower (1 head)" in table
        assert "HIT (1 head)" in table
