"""Stub."""
def draft_spec(folder):
    raise NotImplementedError
