"""One training loop for all models. Knows any module with the methods of `model.base`, imports none."""
