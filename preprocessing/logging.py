"""The HIT release's module of this name."""

from published.log import Logger

__all__ = ["Logger"]
