"""The releases' module of this name: deepctr-torch's feature columns and what is computed from them."""

from preprocessing.deepctr import (
    DEFAULT_GROUP_NAME,
    DenseFeat,
    SparseFeat,
    VarLenSparseFeat,
    build_input_features,
    combined_dnn_input,
    concat_fun,
    create_embedding_matrix,
    embedding_lookup,
    get_feature_names,
    get_varlen_pooling_list,
    maxlen_lookup,
    varlen_embedding_lookup,
)
from published.inputs import compute_input_dim

__all__ = [
    "DEFAULT_GROUP_NAME",
    "DenseFeat",
    "SparseFeat",
    "VarLenSparseFeat",
    "build_input_features",
    "combined_dnn_input",
    "compute_input_dim",
    "concat_fun",
    "create_embedding_matrix",
    "embedding_lookup",
    "get_feature_names",
    "get_varlen_pooling_list",
    "maxlen_lookup",
    "varlen_embedding_lookup",
]
