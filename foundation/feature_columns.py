"""deepctr-torch feature columns, each on its side (user or item), and their form in `config.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from foundation.deepctr import DenseFeat, SparseFeat, VarLenSparseFeat
from foundation.errors import InputError
from foundation.shown import some
from foundation.values import as_count

Column = SparseFeat | DenseFeat | VarLenSparseFeat


@dataclass(frozen=True)
class FeatureColumns:
    """The columns of both towers.

    user, item: deepctr-torch columns. The first `SparseFeat` of a side is its id (user_id, movie_id, ...).
    user_static, item_static: names of the features that HIT's generators read.
    left_out: the history that the data have and that these columns lack, if nobody said that they should.
    """

    user: list[Column]
    item: list[Column]
    user_static: tuple[str, ...] = field(default=())
    item_static: tuple[str, ...] = field(default=())
    left_out: str | None = None

    def __repr__(self) -> str:
        """
        >>> FeatureColumns([SparseFeat("user_id", 31, 8)], [SparseFeat("movie_id", 21, 8), DenseFeat("price")])
        FeatureColumns: user: user_id (31 x 8); item: movie_id (21 x 8), price (number)
        """
        return f"FeatureColumns: user: {_some(self.user)}; item: {_some(self.item)}"

    @property
    def all(self) -> list[Column]:
        """What a ranking model takes, both as linear and as dnn feature columns."""
        return self.user + self.item


def _some(columns: list[Column]) -> str:
    """Names and sizes."""

    def size(column: Column) -> str:
        if isinstance(column, DenseFeat):
            return "number" if column.dimension == 1 else f"{column.dimension:,} numbers"
        kind = "list, " if isinstance(column, VarLenSparseFeat) else ""
        return f"{kind}{column.vocabulary_size:,} x {column.embedding_dim}"

    return some([f"{column.name} ({size(column)})" for column in columns], most=16, width=64)


def check_columns(columns: Sequence[Column]) -> None:
    """Raises `InputError` if two columns contradict each other: one name twice, or one table with two sizes."""
    names: set[str] = set()
    tables: dict[str, tuple[int, int, str]] = {}
    for column in columns:
        if not isinstance(column, Column):
            raise InputError(
                f"A feature column must be SparseFeat, DenseFeat or VarLenSparseFeat. Received: {column!r}"
            )
        if column.name in names:
            raise InputError(f"Two feature columns are named '{column.name}'. Give each feature one column.")
        names.add(column.name)
        for what in ["dimension"] if isinstance(column, DenseFeat) else ["vocabulary_size", "embedding_dim"]:
            as_count(f"{what} of column '{column.name}'", getattr(column, what), least=1)
        if isinstance(column, DenseFeat):
            continue
        size = (column.vocabulary_size, column.embedding_dim)
        *known, owner = tables.setdefault(column.embedding_name, (*size, column.name))
        if tuple(known) != size:
            raise InputError(
                f"Columns '{owner}' and '{column.name}' share the embedding table '{column.embedding_name}' but differ "
                f"in (vocabulary_size, embedding_dim): {tuple(known)} and {size}."
            )


def id_column(columns: Sequence[Column]) -> str | None:
    """Name of the side's first `SparseFeat`, by convention its id; None where there is none."""
    return next((column.name for column in columns if isinstance(column, SparseFeat)), None)


def kind_of(column: Column) -> str:
    """ "sparse", "list" or "dense"."""
    if isinstance(column, VarLenSparseFeat):
        return "list"
    return "sparse" if isinstance(column, SparseFeat) else "dense"


def columns_to_json(columns: list[Column]) -> list[dict]:
    """The inverse of `columns_from_json`."""

    def describe(column: Column) -> dict:
        fields = {"kind": kind_of(column), **column._asdict()}
        return fields | ({"sparsefeat": column.sparsefeat._asdict()} if isinstance(column, VarLenSparseFeat) else {})

    return [describe(column) for column in columns]


def columns_from_json(entries: list[dict]) -> list[Column]:
    """Feature columns from `config.json`."""

    def restore(entry: dict) -> Column:
        fields = dict(entry)
        kind = fields.pop("kind")
        if kind == "list":
            return VarLenSparseFeat(SparseFeat(**fields.pop("sparsefeat")), **fields)
        return {"sparse": SparseFeat, "dense": DenseFeat}[kind](**fields)

    return [restore(entry) for entry in entries]
