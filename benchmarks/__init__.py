"""Measurements: ours beside what it is compared with, in one run, as a ratio."""
