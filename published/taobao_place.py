"""Taobao's three files as the published script names them, one by one: the folder that this project reads."""

from __future__ import annotations

from pathlib import Path

from foundation.errors import InputError
from preprocessing.taobao import FILES


def taobao_folder(profile_path: str, ad_path: str, user_path: str) -> Path:
    """profile_path, ad_path, user_path: the impressions, the ads and the users, in this order.

    Raises `InputError` for other names than the published ones, and for files that do not lie in one folder.
    """
    paths = [Path(path) for path in (profile_path, ad_path, user_path)]
    named = all(path.name in (name, f"{name}.gz") for path, name in zip(paths, FILES, strict=True))
    if not named or len({path.parent for path in paths}) != 1:
        raise InputError(
            f"Taobao's files are read from one folder, under the names {', '.join(FILES)} (plain or .gz), given as "
            f"profile_path, ad_path and user_path. Received: {', '.join(map(str, paths))}. Move or link them there."
        )
    return paths[0].parent
