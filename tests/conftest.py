"""Settings of all tests."""

import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# By default hypothesis fails an example that takes 200 ms; no test here asserts a time.
settings.register_profile("project", deadline=None, max_examples=30, print_blob=True)
settings.load_profile("project")
torch.set_num_threads(1)  # the tensors are tiny, and tests run in parallel already
# A shell starts what runs in the background with Ctrl-C ignored, and so do its children: tests of Ctrl-C would fail.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def quick_picture(monkeypatch):
    """Drawing takes longer than a run on hand-made rows. Runs of fixtures with a wider scope draw real ones."""
    monkeypatch.setattr("training.run_folder.curves_png", lambda *_: b"picture")


@pytest.fixture(scope="session")
def ml1m_path() -> Path:
    """The real MovieLens-1M, which may not be redistributed and so is not part of the repository."""
    root = Path(__file__).resolve().parent.parent
    places = [root / "data" / "ml-1m", root.parent / "shared" / "data" / "ml-1m"]
    for place in places:
        if (place / "ratings.dat").is_file():
            return place
    pytest.skip(f"MovieLens-1M is neither in {places[0]} nor in {places[1]}")
