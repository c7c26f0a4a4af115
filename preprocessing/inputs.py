"""The releases' module of this name: deepctr-torch's feature columns and what is computed from them."""

from __future__ import annotations

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
from preprocessing.feature_columns import Column

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


def compute_input_dim(
    feature_columns: list[Column], include_sparse: bool = True, include_dense: bool = True, feature_group: bool = False
) -> int:
    """Length of the flattened embeddings and dense values. feature_group: an embedding counts as one.

    A function in the releases; deepctr-torch has it as a method of its models alone.

    >>> compute_input_dim([SparseFeat("user_id", 10, embedding_dim=32), DenseFeat("age", 2)])
    34
    """
    dense = [column.dimension for column in feature_columns if isinstance(column, DenseFeat)]
    sparse = [column.embedding_dim for column in feature_columns if not isinstance(column, DenseFeat)]
    return include_sparse * (len(sparse) if feature_group else sum(sparse)) + include_dense * sum(dense)
