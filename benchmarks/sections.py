"""Tables that a benchmark writes into `benchmarks/README.md`, between its own markers."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from foundation import markdown

README = Path(__file__).with_name("README.md")


def table(rows: list[dict]) -> str:
    """A Markdown table with the keys of the first row as its head; missing and None become a dash.

    >>> print(table([{"model": "lr", "ms": 1.5}, {"model": "hit"}]))
    | model | ms |
    | --- | --- |
    | lr | 1.5 |
    | hit | - |
    """
    heads = list(rows[0])
    return markdown.table(heads, ([_cell(row.get(head)) for head in heads] for row in rows))


def narrow_tables(rows: list[dict], keys: int, most: int) -> str:
    """`table` with at most so many columns, and the others in further tables, each with the first `keys` columns.

    >>> print(narrow_tables([{"model": "lr", "a": 1, "b": 2, "c": 3}], keys=1, most=3))
    | model | a | b |
    | --- | --- | --- |
    | lr | 1 | 2 |
    <BLANKLINE>
    | model | c |
    | --- | --- |
    | lr | 3 |
    """
    heads = list(rows[0])
    first, others = heads[:keys], heads[keys:]
    parts = [others[start : start + most - keys] for start in range(0, len(others), most - keys)]
    return "\n\n".join(table([{head: row.get(head) for head in (*first, *part)} for row in rows]) for part in parts)


def _cell(value) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def write_section(name: str, text: str, path: Path = README) -> None:
    """Replaces what stands between `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    content = path.read_text(encoding="utf-8")
    before, after = content[: content.index(begin) + len(begin)], content[content.index(end) :]
    path.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def machine() -> str:
    """What figures depend on besides the code."""
    capabilities = torch.cpu.get_capabilities()
    name = capabilities.get("cpu_name", platform.processor())
    return f"{name}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, torch {torch.__version__}"
