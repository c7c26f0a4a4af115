"""deepctr-torch without the side effects of importing it.

deepctr-torch 0.3.0 starts a thread on import that asks a package index for newer versions, prints where that fails, and
needs `requests`, which it does not declare. All of it lives in `deepctr_torch.utils`, which nothing else in the package
uses, so an inert module of that name is put in its place first. The project imports deepctr-torch through here only.
"""

import sys
import types

if "deepctr_torch" not in sys.modules:
    _no_version_check = types.ModuleType("deepctr_torch.utils")
    _no_version_check.check_version = lambda version: None
    sys.modules["deepctr_torch.utils"] = _no_version_check

from deepctr_torch.callbacks import Callback, CallbackList, EarlyStopping, History, ModelCheckpoint
from deepctr_torch.inputs import (
    DEFAULT_GROUP_NAME,
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    combined_dnn_input,
    create_embedding_matrix,
    embedding_lookup,
    get_feature_names,
    get_varlen_pooling_list,
    maxlen_lookup,
    varlen_embedding_lookup,
)
from deepctr_torch.layers import FM
from deepctr_torch.layers.utils import concat_fun

__all__ = [
    "DEFAULT_GROUP_NAME",
    "FM",
    "Callback",
    "CallbackList",
    "DenseFeat",
    "EarlyStopping",
    "History",
    "ModelCheckpoint",
    "SparseFeat",
    "VarLenSparseFeat",
    "build_input_features",
    "combined_dnn_input",
    "concat_fun",
    "create_embedding_matrix",
    "embedding_lookup",
    "get_feature_names",
    "get_varlen_pooling_list",
    "maxlen_lookup",
    "varlen_embedding_lookup",
]
