"""JSON files that carry the SHA-256 of their own bytes: one changed byte anywhere, and they are refused.

The first entry is the checksum, taken over the text with zeros in its place. Hashing bytes, not values, needs no rule
for what counts as the same document.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from foundation.errors import InputError

_HEAD = b'{\n "sha256": "'
_EMPTY = "0" * 64


def seal(document: dict[str, Any], default=None) -> str:
    """The text of a sealed file. default: as of `json.dumps`.

    >>> from pathlib import Path
    >>> unseal(seal({"epochs": 3}).encode(), Path("result.json"), "Train again.")
    {'epochs': 3}
    """
    text = json.dumps({"sha256": _EMPTY, **document}, indent=1, default=default) + "\n"
    return text.replace(_EMPTY, hashlib.sha256(text.encode()).hexdigest(), 1)


def unseal(content: bytes, path: Path, advice: str) -> dict[str, Any]:
    """The document without its checksum.

    path: for the message. Raises `InputError`, which ends in the advice, for anything but bytes that `seal` made.
    """
    start, end = len(_HEAD), len(_HEAD) + len(_EMPTY)
    if not content.startswith(b"{"):
        raise InputError(f"{path} is damaged: it holds no JSON object. {advice}")
    if not content.startswith(_HEAD):
        raise InputError(f"{path} has no checksum: it is damaged, or of an earlier version. {advice}")
    expected = hashlib.sha256(content[:start] + _EMPTY.encode() + content[end:]).hexdigest()
    if content[start:end] != expected.encode():
        raise InputError(f"{path} is damaged: its checksum differs. {advice}")
    document = json.loads(content)
    del document["sha256"]
    return document


def read_sealed(path: Path, advice: str) -> dict[str, Any]:
    """The document in a file. Raises `InputError` as `unseal` does, and where it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}. {advice}") from None
    return unseal(content, path, advice)
