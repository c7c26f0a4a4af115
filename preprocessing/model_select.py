"""The HIT release's module of this name."""

from published.choose import chooseModel

__all__ = ["chooseModel"]
