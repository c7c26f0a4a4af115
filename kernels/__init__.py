"""Hand-made fast paths, each beside its plain torch twin."""
