"""Of the releases' module of this name, what their README asks people to use."""

from published.light_se import LightSE

__all__ = ["LightSE"]
