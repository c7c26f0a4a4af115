"""The releases' module of this name: deepctr-torch's callbacks, which need no TensorFlow."""

from foundation.deepctr import EarlyStopping, History, ModelCheckpoint

__all__ = ["EarlyStopping", "History", "ModelCheckpoint"]
