"""Raw files -> `Dataset`: readers, protocols, encodings, feature columns. Knows no model."""

import foundation  # noqa: F401 (before torch)
