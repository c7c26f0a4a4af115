"""`layers.interaction`, as the published code imports it; this project's layers are in `model.layers`."""
