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
leaks = pd.DataFrame([audit(raw, protocol, seed=0) for protocol in protocols], index=protocols)
logits = explanation.terms.sum(1) + model.interaction.bias.item()
print(json.dumps({
    "folder": folder,
    "membership": leaks["membership"].to_dict(),
    "test_auc": scores["test"]["auc"],
    "best_possible": data.best_possible_auc("test"),
    "best_epoch": int(curves["val_auc"].idxmax()),
    "kept": model.evaluate(data.validation)["auc"] == curves["val_auc"].max(),
    "items": best.items.tolist(),
    "scores": best.scores.tolist(),
    "all_scores": sorted(ranker.score(user, ranker.item_vectors()[0]).tolist(), reverse=True)[:10],
    "logits": [best.logits.tolist(), logits.tolist()],
}))
"""


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def executed(notebook):
    """The notebook after a run in its folder, and the facts at its end"""
    before = set(NOTEBOOK.parent.rglob("*"))
    copy = nbformat.from_dict(notebook)
    copy.cells.append(nbformat.v4.new_code_cell(FACTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        NotebookClient(copy, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    assert set(NOTEBOOK.parent.rglob("*")) == before
    return copy, json.loads(copy.cells[-1].outputs[0].text)


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


class TestRun:
    def test_every_cell_ends(self, executed):
        for cell in code_cells(executed[0]):
            assert cell.execution_count is not None
            assert not [output for output in cell.outputs if output.output_type == "error"]

    def test_leak_is_as_told(self, executed):
        assert executed[1]["membership"] == {"published": 1.0, "holdout": 0.5, "temporal": 0.5}

    def test_model_learns_and_the_best_epoch_is_kept(self, executed):
        facts = executed[1]
        assert 0.85 < facts["test_auc"] < facts["best_possible"]
        assert facts["kept"]
        assert facts["best_epoch"] < 4  # "the second one does not"

    def test_ranks_the_best_of_all_items(self, executed):
        facts = executed[1]
        assert len(set(facts["items"])) == 10
        assert facts["scores"] == pytest.approx(facts["all_scores"], abs=1e-6)

    def test_parts_of_the_explanation_make_the_logit(self, executed):
        ranked, explained = executed[1]["logits"]
        assert explained == pytest.approx(ranked, abs=1e-4)

    def test_both_pictures_are_shown(self, executed):
        pictures = [output for cell in code_cells(executed[0]) for output in cell.outputs if "image/png" in str(output)]
        assert len(pictures) == 2

    def test_writes_into_its_temporary_folder_alone(self, executed):
        folder = Path(executed[1]["folder"])
        assert folder.name.startswith("first-steps-")
        assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors", "index"}
