"""Measurements: ours beside what it is compared with, in one run, as a ratio."""

import foundation  # noqa: F401 (before torch)
