"""The notebook runs from its own folder, and shows what its text says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "first_steps.ipynb"
# What the test wants to know of the notebook's variables at its end.
FACTS = """
import json
logits = explanation.terms.sum(1) + model.interaction.bias.item()
print(json.dumps({
    "folder": folder,
    "membership": leaks["membership"].to_dict(),
    "test_auc": scores["test"]["auc"],
    "best_possible": data.best_possible_auc("test"),
    "best_epoch": int(curves["val_auc"].idxmax()),
    "kept": bool(scores["validation"]["auc"] == curves["val_auc"].max()),
    "items": best.items.tolist(),
    "scores": best.scores.tolist(),
    "all_scores": sorted(ranker.score(user, ranker.item_vectors()[0]).tolist(), reverse=True)[:10],
    "logits": [best.logits.tolist(), logits.tolist()],
}))
"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


class TestFile:
    def test_is_valid_and_holds_no_outputs(self, notebook):
        nbformat.validate(notebook)
        assert notebook.nbformat == 4
        assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))

    def test_cells_are_short(self, notebook):
        assert all(len(cell.source.splitlines()) <= 10 for cell in code_cells(notebook))

    def test_uses_public_names_alone(self, notebook):
        source = "\n".join(cell.source for cell in code_cells(notebook))
        assert not re.search(r"\b_[a-z]\w*|\._", source)

    def test_links_lead_to_pages(self, notebook):
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\(([^)#]+)", text)
        assert links
        assert all((NOTEBOOK.parent / link).is_file() for link in links)


def test_shows_what_its_text_says(notebook, tmp_path, monkeypatch):
    """One test, as processes that test in parallel would each run the notebook."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(NOTEBOOK.parent.rglob("*"))
    executed = nbformat.from_dict(notebook)
    executed.cells.append(nbformat.v4.new_code_cell(FACTS))
    NotebookClient(executed, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    facts = json.loads(executed.cells[-1].outputs[0].text)

    assert facts["membership"] == {"published": 1.0, "holdout": 0.5, "temporal": 0.5}
    assert 0.85 < facts["test_auc"] < facts["best_possible"]
    assert facts["best_epoch"] < 4  # "the second one does not"
    assert facts["kept"]
    assert len(set(facts["items"])) == 10
    assert facts["scores"] == pytest.approx(facts["all_scores"], abs=1e-6)
    ranked, explained = facts["logits"]
    assert explained == pytest.approx(ranked, abs=1e-4)
    outputs = [output for cell in code_cells(executed) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert set(NOTEBOOK.parent.rglob("*")) == before
    folder = Path(facts["folder"])
    assert folder.parent == tmp_path
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "index"}
