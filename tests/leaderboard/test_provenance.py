"""Cleaning keeps the fingerprint of the code, changes of numbers do not; proofs let results stand under other code."""

from __future__ import annotations

import itertools
import json

import pytest

from foundation.errors import InputError
from leaderboard.code_fingerprint import bytes_sha256, sources_sha256
from leaderboard.provenance import LINKS, add_link, common_models, read_links, same_sources, standing

MODULE = '''"""A model."""
from typing import TYPE_CHECKING

import numpy as np
from foundation.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

RATE: float = 0.1


def step(weights: np.ndarray, path: Path | None = None) -> np.ndarray:
    """One step."""
    rate: float = RATE  # a comment
    return np.exp(weights - rate)


class Settings:
    """Of a run."""

    epochs: int = 3
'''


@pytest.fixture
def checkout(tmp_path):
    """Writes modules into a new checkout, and returns it."""

    def write(modules: dict[str, str], name: str = "code"):
        for path, text in modules.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


CLEANED = [
    ("# a comment", "# another"),
    ('"""One step."""', '"""One step, explained\n    at length."""'),
    ("    return np.exp(weights - rate)", "    return np.exp(\n        weights - rate,\n    )"),
    ("weights: np.ndarray, path: Path | None = None) -> np.ndarray", "weights, path=None)"),
    ("rate: float = RATE", "rate = RATE"),
    ("import numpy as np", "import os\n\nimport numpy as np"),
    ("if TYPE_CHECKING:\n    from pathlib import Path\n", ""),
    ('    """Of a run."""\n', "    pass\n"),
]
CHANGED = [
    ("weights - rate", "weights + rate"),
    ("RATE: float = 0.1", "RATE: float = 0.2"),
    ("path: Path | None = None", "path: Path | None = 1"),
    ("import numpy as np", "import cupy as np"),
    ("epochs: int = 3", "epochs: float = 3"),
    ("epochs: int = 3", "epochs: int = 4"),
]


class TestFingerprint:
    @pytest.mark.parametrize(("old", "new"), CLEANED, ids=range(len(CLEANED)))
    def test_ignores(self, checkout, old, new):
        assert old in MODULE
        before = sources_sha256(checkout({"model/a.py": MODULE}))
        assert sources_sha256(checkout({"model/a.py": MODULE.replace(old, new)})) == before

    @pytest.mark.parametrize(("old", "new"), CHANGED, ids=range(len(CHANGED)))
    def test_sees(self, checkout, old, new):
        assert old in MODULE
        before = sources_sha256(checkout({"model/a.py": MODULE}))
        assert sources_sha256(checkout({"model/a.py": MODULE.replace(old, new)})) != before

    def test_ignores_moves_between_files_and_packages(self, checkout):
        here = "from kernels.low import f\n\ndef g(x):\n    return f(x)\n"
        one = checkout({"model/a.py": here, "kernels/low.py": "def f(x):\n    return x\n"}, "one")
        moved = here.replace("kernels.low", "training.other")
        two = checkout({"training/other.py": "def f(x): return x", "experiment/b.py": moved}, "two")
        assert sources_sha256(one) == sources_sha256(two)
        assert bytes_sha256(one) != bytes_sha256(two)

    def test_is_of_what_training_runs_alone(self, checkout):
        code = checkout({"model/a.py": MODULE})
        before = sources_sha256(code)
        checkout({"leaderboard/b.py": "X = 1\n", "model/notes.txt": "X"})
        assert sources_sha256(code) == before


class TestProofs:
    @pytest.fixture
    def versions(self, checkout):
        return [checkout({"model/a.py": f"X = {n}\n"}, f"code{n}") for n in range(3)]

    def proof(self, folder, **cases: list[str]):
        path = folder / "proof.json"
        path.write_text(json.dumps({name: {"parts": 5, "different": parts} for name, parts in cases.items()}))
        return path

    def test_a_chain_carries_results_of_old_bytes_to_the_last_version(self, tmp_path, versions):
        results = tmp_path / "results"
        old = [("holdout", bytes_sha256(versions[0]))] * 3 + [("holdout", "unknown")]
        assert standing(old, read_links(results), versions[2]).startswith("0 of 4 results")
        for before, after in itertools.pairwise(versions):
            link = add_link(results, before, after, self.proof(tmp_path, dssm=[], hit=[]), ["dssm"])
            assert (results / link["proof"]).read_bytes() == (tmp_path / "proof.json").read_bytes()
        links = read_links(results)
        assert [link["cases"] for link in links] == [2, 2]
        assert standing(old, links, versions[2]).startswith("3 of 4 results")
        assert same_sources(links)[old[0][1]] == same_sources(links)[sources_sha256(versions[2])]

    def test_a_proof_of_one_protocol_carries_no_result_of_another(self, tmp_path, versions):
        results, before = tmp_path / "results", sources_sha256(versions[0])
        add_link(results, *versions[:2], self.proof(tmp_path, dssm=[]), protocols=["holdout"])
        links = read_links(results)
        old = [("holdout", before), ("temporal", before)]
        assert standing(old, links, versions[1]).startswith("1 of 2 results")
        assert before not in same_sources(links, "temporal")

    def test_a_link_is_recorded_once(self, tmp_path, versions):
        for _ in range(2):
            add_link(tmp_path, *versions[:2], self.proof(tmp_path, dssm=[]))
        assert len(read_links(tmp_path)) == 1

    @pytest.mark.parametrize(
        ("cases", "problem"),
        [
            ({"dssm": ["weights"], "hit": []}, "Cases that differ: dssm;"),
            ({"hit": []}, "cases that are missing: dssm;"),
            ({}, "0 in all"),
        ],
        ids=["different", "missing", "empty"],
    )
    def test_what_proves_nothing_is_refused(self, tmp_path, versions, cases, problem):
        with pytest.raises(InputError, match=problem):
            add_link(tmp_path, *versions[:2], self.proof(tmp_path, **cases), ["dssm"])
        assert not (tmp_path / LINKS).exists()

    def test_a_model_that_one_version_lacks_is_no_part_of_a_proof(self, checkout):
        before = checkout({"model/__init__.py": 'MODELS = {"lr": 1, "dssm": 2}'}, "before")
        after = checkout({"model/__init__.py": 'MODELS = {"dssm": 2, "new": 3, "lr": 1}'}, "after")
        assert common_models(after, before) == ["dssm", "lr"]
