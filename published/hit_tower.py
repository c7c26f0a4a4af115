"""The keywords of the published `HitTower`, said in those of `model.hit.HIT`."""

from __future__ import annotations

from typing import Any

from foundation.deepctr import DenseFeat
from foundation.errors import InputError
from foundation.feature_columns import Column
from foundation.values import shown

# HIT's names for what the published keywords say.
OWN_NAMES = {
    "num_heads": "user_head and item_head",
    "user_static": "user_input_for_recon",
    "item_static": "item_input_for_recon",
}


def hit_arguments(
    user_columns: list[Column],
    item_columns: list[Column],
    user_input_for_recon: list[Column],
    item_input_for_recon: list[Column],
    *,
    user_head: int = 2,
    item_head: int = 2,
    field_dim: int = 16,
    hidden_units_for_recon: tuple[int, ...] | None = None,
    activation_for_recon: str = "relu",
    use_target: bool = True,
    use_non_target: bool = True,
    only_output_fe: bool = True,
    user_filed_size: int | None = None,
    item_filed_size: int | None = None,
    **others: Any,
) -> dict[str, Any]:
    """-> keyword arguments of `HIT`. others: of the same name and meaning there.

    user_input_for_recon, item_input_for_recon: columns that the generators read, of those of their side.
    Raises `InputError` for a value that HIT cannot honour.
    """
    for own, name in OWN_NAMES.items():
        if own in others:
            raise InputError(f"HitTower takes {name} for {own}. Received: {own}={shown(others[own])}. Leave it out.")
    if user_head != item_head:
        raise InputError(
            "HIT has one number of heads: a user's mimic stands in for an item's heads, and the other way round. "
            f"Received: user_head={user_head}, item_head={item_head}. Give both the same."
        )
    size = user_head * field_dim
    if hidden_units_for_recon not in (None, (size, size), [size, size]):
        raise InputError(
            f"HIT's generators have two layers of user_head * field_dim = {size} units, the size of what they imitate. "
            f"Received: hidden_units_for_recon={hidden_units_for_recon!r}. Leave it out, or give ({size}, {size})."
        )
    if activation_for_recon != "relu":
        raise InputError(f"HIT's generators have a ReLU. Received: activation_for_recon={activation_for_recon!r}.")
    if not only_output_fe:
        raise InputError("HIT scores the last layer's output alone. Received: only_output_fe=False. Leave it out.")
    for name, given, columns in (
        ("user_filed_size", user_filed_size, user_columns),
        ("item_filed_size", item_filed_size, item_columns),
    ):
        fields = sum(not isinstance(column, DenseFeat) for column in columns)
        if given not in (None, fields):
            raise InputError(f"{name}={given}, but the feature columns have {fields} fields. Leave it out: HIT counts.")
    arguments = {
        "num_heads": user_head,
        "field_dim": field_dim,
        "use_target": use_target,
        "use_non_target": use_non_target,
        **others,
    }
    if use_target or use_non_target:  # without generators nothing reads them
        arguments["user_static"] = _names("user_input_for_recon", user_input_for_recon, user_columns)
        arguments["item_static"] = _names("item_input_for_recon", item_input_for_recon, item_columns)
    return arguments


def _names(argument: str, chosen: list[Column], columns: list[Column]) -> tuple[str, ...]:
    """Raises `InputError` for a column that is none of the side's, or another one of the same name."""
    chosen = chosen if isinstance(chosen, (list, tuple)) else [chosen]
    strange = [getattr(column, "name", None) or shown(column) for column in chosen if column not in columns]
    if strange or not chosen:
        raise InputError(
            f"{argument} must be a list of some of the feature columns of its side. "
            f"Received: {', '.join(strange) or 'none'}."
        )
    return tuple(column.name for column in chosen)
