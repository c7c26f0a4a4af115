from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

DEFAULT_GROUP_NAME: str

class SparseFeat(NamedTuple):
    name: str
    vocabulary_size: int
    embedding_dim: int = 4
    use_hash: bool = False
    dtype: str = "int32"
    embedding_name: str = ...  # the name, unless given
    group_name: str = ...

class VarLenSparseFeat(NamedTuple):
    sparsefeat: SparseFeat
    maxlen: int
    combiner: str = "mean"
    length_name: str | None = None
    @property
    def name(self) -> str: ...
    @property
    def vocabulary_size(self) -> int: ...
    @property
    def embedding_dim(self) -> int: ...
    @property
    def use_hash(self) -> bool: ...
    @property
    def dtype(self) -> str: ...
    @property
    def embedding_name(self) -> str: ...
    @property
    def group_name(self) -> str: ...

class DenseFeat(NamedTuple):
    name: str
    dimension: int = 1
    dtype: str = "float32"

def get_feature_names(feature_columns: Sequence[SparseFeat | VarLenSparseFeat | DenseFeat]) -> list[str]: ...
def build_input_features(
    feature_columns: Sequence[SparseFeat | VarLenSparseFeat | DenseFeat],
) -> OrderedDict[str, tuple[int, int]]: ...
