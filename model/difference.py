"""What the table of differences between papers and releases is made of (`model.released`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

RELEASES = ("inttower", "hit")  # archersama/IntTower at a234d89, HarveyYang123/HIT_model at 6a5dd67
RANKING = ("cold", "wide_and_deep", "deep_fm", "dcn", "auto_int")
INT_TOWER = ("int_tower", "dssm", "dat", *RANKING)  # models that IntTower's release holds
HIT = ("hit", "mvke", "poly_encoder", *INT_TOWER)  # and HIT's
TWO_TOWERS = ("int_tower", "dssm", "dat", "hit", "mvke", "poly_encoder")
DATASETS = ("movielens", "amazon", "taobao")


@dataclass(frozen=True)
class Difference:
    """One difference of the releases from their papers, or from what was probably meant.

    part: "rows" and features, the "loop", or the "model".
    where: file, class or function in the release.  what: what it does, and what follows from it.
    models: keys of the table of models.  releases, datasets: that have it.
    settings: options and constructor arguments that bring it; none where this project has it anyway, or leaves it out.
    why: the reason why it is not reproduced; "" where it is.
    """

    name: str
    part: Literal["rows", "loop", "model"]
    where: str
    what: str
    models: tuple[str, ...] = HIT
    settings: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""
    releases: tuple[str, ...] = RELEASES
    datasets: tuple[str, ...] = DATASETS

    @property
    def reproduced(self) -> bool:
        return not self.why

    def concerns(self, model: str, release: str, dataset: str) -> bool:
        """Whether this model has it in this release on this data set ("movielens", ...)."""
        return model in self.models and release in self.releases and dataset in self.datasets
