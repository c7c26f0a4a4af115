"""What the project uses of deepctr-torch, without its side effects: whatever imports it imports this first."""

import importlib.util
import sys
from pathlib import Path

if "deepctr_torch" not in sys.modules:  # whichever comes first on the path, this repository's form of it is imported
    _spec = importlib.util.spec_from_file_location(
        "deepctr_torch", Path(__file__).resolve().parent.parent / "deepctr_torch" / "__init__.py"
    )
    assert _spec is not None
    assert _spec.loader is not None  # of a file that ends in .py
    sys.modules["deepctr_torch"] = importlib.util.module_from_spec(_spec)
    try:
        _spec.loader.exec_module(sys.modules["deepctr_torch"])
    except BaseException:
        del sys.modules["deepctr_torch"]  # as after any import that failed
        raise

from deepctr_torch.callbacks import Callback, CallbackList, EarlyStopping, History, ModelCheckpoint
from deepctr_torch.inputs import DenseFeat, SparseFeat, VarLenSparseFeat, get_feature_names
from deepctr_torch.layers import FM

__all__ = [
    "FM",
    "Callback",
    "CallbackList",
    "DenseFeat",
    "EarlyStopping",
    "History",
    "ModelCheckpoint",
    "SparseFeat",
    "VarLenSparseFeat",
    "get_feature_names",
]
