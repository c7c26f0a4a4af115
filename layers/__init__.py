"""`layers.interaction`, which the published code imports; this project's layers are in `model.layers`."""
