"""Of the releases' `preprocessing.inputs`, what deepctr-torch has as a method of its models alone."""

from __future__ import annotations

from foundation.deepctr import DenseFeat
from foundation.feature_columns import Column


def compute_input_dim(
    feature_columns: list[Column], include_sparse: bool = True, include_dense: bool = True, feature_group: bool = False
) -> int:
    """Length of the flattened embeddings and dense values. feature_group: an embedding counts as one.

    >>> from foundation.deepctr import SparseFeat
    >>> compute_input_dim([SparseFeat("user_id", 10, embedding_dim=32), DenseFeat("age", 2)])
    34
    """
    dense = [column.dimension for column in feature_columns if isinstance(column, DenseFeat)]
    sparse = [column.embedding_dim for column in feature_columns if not isinstance(column, DenseFeat)]
    return include_sparse * (len(sparse) if feature_group else sum(sparse)) + include_dense * sum(dense)
