"""Sealed files with other content, as a program that knows the format would write them."""

from __future__ import annotations

from pathlib import Path

from foundation.sealed import read_sealed, seal


def change_sealed(path: Path, **entries) -> None:
    """Replaces entries of a sealed file; None takes one out."""
    document = read_sealed(path, "") | entries
    path.write_text(seal({name: value for name, value in document.items() if value is not None}), encoding="utf-8")
