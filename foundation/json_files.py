"""JSON files that people may have edited: what they hold, or a refusal that names them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from foundation.errors import InputError

KINDS: dict[type, str] = {dict: "object", list: "list"}


def read_json(path: Path, kind: type = dict) -> Any:
    """The content of a file. Raises `InputError` that names it if that is no JSON, or of another kind."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not valid JSON ({error}). Restore it, or move it away and run again.") from None
    if not isinstance(content, kind):
        raise InputError(f"{path} holds no JSON {KINDS[kind]}. Restore it, or move it away and run again.")
    return content
