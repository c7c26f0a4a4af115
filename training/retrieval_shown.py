"""The retrieval metrics of a result (`model.retrieval`) for people: on the terminal, and in the model card."""

from __future__ import annotations

from foundation.markdown import literal, table
from foundation.shown import visible
from training.rank_metrics import is_rank_metric, kind_and_cutoff

KINDS = {"recall": "recall", "ndcg": "NDCG", "hit": "hit rate"}  # as people read them
NOT_MEASURED = "Recall, NDCG and hit rate are not measured. {}"


def retrieval_lines(result: dict) -> list[str]:
    """For the closing table; nothing of a ranking model, or of a result of before these were measured."""
    found = _test(result)
    if "not_measured" in found:
        return [NOT_MEASURED.format(visible(found["not_measured"]))]
    lines = []
    for k in _cutoffs(found):
        shown = ", ".join(f"{text} {found[f'{kind}@{k}']:.4f}" for kind, text in KINDS.items())
        lines.append(f"Best {k} of {found['items']:,} items: {shown}")
    return [*lines, _note(found)] if lines else []


def retrieval_markdown(result: dict) -> list[str]:
    """The same as paragraphs of Markdown."""
    found = _test(result)
    if "not_measured" in found:
        return [NOT_MEASURED.format(literal(found["not_measured"]))]
    rows = [[f"best {k}", *(f"{found[f'{kind}@{k}']:.4f}" for kind in KINDS)] for k in _cutoffs(found)]
    heads = [f"of {found['items']:,} items", *KINDS.values()] if rows else []
    return [table(heads, rows, numbers=True), _note(found)] if rows else []


def _test(result: dict) -> dict:
    return result.get("retrieval", {}).get("test", {})


def _cutoffs(found: dict) -> list[int]:
    return sorted({kind_and_cutoff(name)[1] for name in found if is_rank_metric(name)})


def _note(found: dict) -> str:
    users, every = found["users"], found["users_with_positives"]
    drawn = f" (drawn by the seed from {every:,})" if users < every else ""
    return (
        f"Means over {users:,} users{drawn} with a positive test row among their candidates. Candidates: "
        f"{found['candidates']}."
    )
