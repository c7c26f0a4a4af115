"""What serving a model costs, as `python -m benchmarks.latency` measured it: the files in `results/speed/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaderboard.markdown import milliseconds
from leaderboard.results import read_if_there

# What `benchmarks.latency`, `training_speed` and `concurrent_upserts` wrote, by name: the kind of the JSON.
FILES = {"requests": list, "scoring": list, "million": list, "training": dict, "upserts": dict}
# Of the cases of `requests`: the whole way from a user's features to the best 100. A ranking model has no index.
WHOLE_REQUESTS = ("features to top 100", "all candidates")
PRECISION = "float32"
USUAL = (10_000, 1)  # candidates and threads


def read_measurements(folder: Path) -> dict[str, Any]:
    """Name -> content of each file, None without it. folder: `results/speed`. Raises `InputError` for a damaged one."""
    return {name: read_if_there(folder / f"{name}.json", kind) for name, kind in FILES.items()}


@dataclass(frozen=True)
class Speeds:
    """Per model (a key of `MODELS`), at one number of candidates and threads, so that columns can be compared.

    request_ms: median of a whole request. scoring_ms: median of scoring alone. bytes_per_item: of the index. A model
    that was not measured is missing.
    """

    items: int = 0
    threads: int = 0
    bytes_per_item: Mapping[str, int] = field(default_factory=dict)
    scoring_ms: Mapping[str, float] = field(default_factory=dict)
    request_ms: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_measurements(cls, measured: Mapping[str, Any]) -> Speeds:
        """At the setting that most rows share, in doubt the usual. measured: of `read_measurements`."""
        requests = [
            row
            for row in measured["requests"] or []
            if row["case"] in WHOLE_REQUESTS and row["precision"] == PRECISION and row["users"] == 1
        ]
        scoring = [row for row in measured["scoring"] or [] if row["way"] == PRECISION]
        settings = Counter((row["items"], row["threads"]) for row in [*requests, *scoring])
        if not settings:
            return cls()
        items, threads = max(settings, key=lambda setting: (settings[setting], setting == USUAL))
        requests = [row for row in requests if (row["items"], row["threads"]) == (items, threads)]
        scoring = [row for row in scoring if (row["items"], row["threads"]) == (items, threads)]
        return cls(
            items,
            threads,
            {row["model"]: row["bytes_per_item"] for row in requests if "bytes_per_item" in row},
            {row["model"]: row["p50_ms"] for row in scoring},
            {row["model"]: row["p50_ms"] for row in requests},
        )

    def cells(self, model: str) -> tuple[str, str]:
        """Bytes an item, and scoring / request in milliseconds; "" where not measured.

        >>> Speeds(bytes_per_item={"hit": 1293}, scoring_ms={"hit": 0.0911}, request_ms={"lr": 12.3}).cells("hit")
        ('1,293', '0.091 / -')
        >>> Speeds(request_ms={"lr": 12.3}).cells("dssm")
        ('', '')
        """
        size = self.bytes_per_item.get(model)
        times = [milliseconds(held.get(model)) or "-" for held in (self.scoring_ms, self.request_ms)]
        return ("" if size is None else f"{size:,}", " / ".join(times) if set(times) != {"-"} else "")

    @property
    def setting(self) -> str:
        """
        >>> Speeds(10_000, 1).setting, Speeds(1000, 2).setting
        ('10,000 candidates, one thread', '1,000 candidates, 2 threads')
        """
        return f"{self.items:,} candidates, " + ("one thread" if self.threads == 1 else f"{self.threads} threads")
