"""The pre-ranking engine: an item index on disk, and the ranker that answers from it. Builds on the models."""

import foundation  # noqa: F401 (before torch)
