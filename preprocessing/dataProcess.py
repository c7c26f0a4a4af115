"""The HIT release's module of this name: its classes over this project's data sets (`published.data`)."""

from published.data import amazonDataProcess, movieDataProcess, setup_seed, taobaoDataProcess

__all__ = ["amazonDataProcess", "movieDataProcess", "setup_seed", "taobaoDataProcess"]
