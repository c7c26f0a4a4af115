"""Raw files -> `Dataset`: readers, protocols, encodings, feature columns. Knows no model."""
