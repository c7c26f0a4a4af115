"""The item index: a base that is built once, a small delta of later changes, and the snapshot of both that scores.

RUN/index/manifest.json        which files make up the index, and for which model; replaced atomically
RUN/index/base-*.idx           items: keys, texts, features, vectors (N, H * d) float32, blocks in the chosen precision
RUN/index/delta-*.idx          items added or replaced since, and the keys that the base no longer speaks for
RUN/index/users-*.idx          the known users
RUN/index/users_delta-*.idx    users added or replaced since
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from foundation.errors import InputError
from foundation.ids import hashed, plain_ids
from foundation.precisions import check_precision
from model.base import TwoTower
from serving.blocks import PRECISIONS, STORED, Blocks, blocks_shape, fill_blocks, head_scales
from serving.entities import Entities, in_key_order, sections_of
from serving.layered import GONE, Layered
from serving.manifest import Manifest, index_folder
from serving.section_file import SectionFile
from serving.section_writer import create

ENCODE_ROWS = 8192
VECTORS = "rows"  # the section of item vectors, by its name in files


def encode(entities: Entities, model: TwoTower, target: np.ndarray | None = None) -> np.ndarray:
    """Item vectors (n, H, d) float32, a batch at a time; into `target` (n, H * d) where it is given.

    model: in evaluation mode, on the CPU.
    """
    names, parts = [column.name for column in model.item_columns], []
    for part in torch.arange(len(entities)).split(ENCODE_ROWS):
        vectors = model.encode_item({name: entities.features.batch(name, part) for name in names}).float().numpy()
        if not np.isfinite(vectors).all():
            raise InputError("The model gives NaN or infinite item vectors. Train it again.")
        if target is None:
            parts.append(vectors)
        else:
            target[int(part[0]) : int(part[-1]) + 1] = vectors.reshape(len(part), -1)
    return target if target is not None else np.concatenate(parts)


def write_base(path: Path, items: Entities, model: TwoTower, precision: str, meta: dict) -> None:
    """Builds the base file from items."""
    precision = check_precision(precision, PRECISIONS)
    if not len(items):
        raise InputError("There is no item to build an index of.")
    items = in_key_order(items)
    _, heads, dim = encode(items.take(np.arange(1)), model).shape
    sections, content, table = sections_of(items)
    sections[VECTORS] = ("<f4", (len(items), heads * dim))
    sections["blocks"] = (STORED[precision], blocks_shape(len(items), heads, dim))
    sections["scales"] = ("<f4", (heads,))
    with create(path, sections, meta | table | {"precision": precision}) as arrays:
        for name, array in content.items():
            arrays[name][...] = array
        encode(items, model, arrays[VECTORS])
        arrays["scales"][...] = head_scales(arrays[VECTORS], heads) if precision == "int8" else 1
        fill_blocks(arrays["blocks"], arrays[VECTORS], arrays["scales"])


def write_delta(path: Path, items: Entities, vectors: np.ndarray, gone: np.ndarray, meta: dict) -> None:
    """items: in key order; vectors: theirs (n, H * d). gone: keys of the base that it no longer speaks for."""
    _write(path, items, {VECTORS: vectors, GONE: gone}, meta)


def write_users(path: Path, users: Entities, meta: dict, gone: np.ndarray | None = None) -> None:
    """gone: of a delta, keys of the base that it no longer speaks for."""
    _write(path, in_key_order(users), {} if gone is None else {GONE: gone}, meta)


def _write(path: Path, entities: Entities, more: dict[str, np.ndarray], meta: dict) -> None:
    sections, content, table = sections_of(entities)
    content |= more
    sections |= {name: (array.dtype.str, array.shape) for name, array in more.items()}
    with create(path, sections, meta | table) as arrays:
        for name, array in content.items():
            arrays[name][...] = array


def open_file(run: Path, manifest: Manifest, name: str) -> SectionFile:
    """A file that the manifest names. Raises `InputError` where it is missing, damaged, or another than is meant."""
    path, build = index_folder(run) / name, f"Build the index again: python prerank.py build {run}"
    try:
        file = SectionFile(path)
    except FileNotFoundError:
        raise InputError(f"{path.parent} lacks files that its manifest names: {name}. {build}") from None
    except OSError as error:
        raise InputError(f"The index file {path} cannot be read: {error.strerror}.") from None
    if any(file.meta.get(key) != mark for key, mark in manifest.marks(name).items()):
        raise InputError(f"The index file {path} belongs to another build than its manifest. {build}")
    return file


class Snapshot(Layered):
    """All items that can be ranked, with their vectors."""

    def __init__(self, base: SectionFile, delta: SectionFile | None):
        super().__init__(base, delta)
        _, self.num_heads, self.dim, _ = base.shape("blocks")

    def __repr__(self) -> str:
        return f"Snapshot: {self.summary}"

    @property
    def summary(self) -> str:
        """For people: how many items, in what precision, how large and where."""
        changed = "" if self.delta is None else f" ({len(self.delta):,} changed, {self.deleted:,} deleted)"
        where = "in memory" if self.base.file.in_memory else "mapped from disk"
        size = sum(file.size for file in self.files)
        return f"{len(self):,} items{changed}, {self.base.file.meta['precision']}, {size / 2**20:.1f} MiB {where}"

    @property
    def texts(self) -> list[str]:
        return self.base.texts

    @property
    def blocks_exact(self) -> bool:
        """Whether `blocks` hold the very numbers of `vectors`."""
        return self.base.file.meta["precision"] == "float32"

    @property
    def blocks(self) -> Blocks:
        """The base's items as `Blocks`; checked whole when first used."""
        file = self.base.file
        return Blocks.from_arrays(file.section("blocks"), file.section("scales"), self.size)

    def find(self, ids) -> np.ndarray:
        """(n,) int64 rows of ids, -1 for an unknown one. Raises `InputError` for ids of another kind."""
        array = plain_ids(ids)
        text = array.dtype == object
        if len(array) and text != self.base.has_text_ids:
            raise InputError(
                f"Item ids must be a list of {'whole numbers' if text else 'strings'}. Received: {str(ids)[:80]}."
            )
        return self.find_keys(hashed(array) if text else array)

    def vectors(self, rows: np.ndarray) -> Tensor:
        """(n,) rows -> (n, H * d) float32, a copy of these alone."""
        return torch.from_numpy(self._both(rows, lambda table, part: table.file.rows(VECTORS, part)))

    @property
    def base_vectors(self) -> Tensor:
        """(N, H * d) float32, those of items that are gone included."""
        return torch.from_numpy(self.base.file.section(VECTORS))

    @property
    def delta_vectors(self) -> Tensor:
        """(M, H * d) float32, of a snapshot with a delta."""
        assert self.delta is not None
        return torch.from_numpy(self.delta.file.section(VECTORS))

    def text(self, name: str, rows: np.ndarray) -> list[str]:
        return self._both(rows, lambda table, part: np.array(table.text(name, part), dtype=object)).tolist()
