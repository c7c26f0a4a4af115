"""What serving a model costs, as `python -m benchmarks.latency` measured it: the files in `results/speed/`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from leaderboard.filed import read_if_there

REQUESTS, SCORING = "requests.json", "scoring.json"
SERVING_NOTE = (
    "Bytes an item are those of the index. Scoring is the product of one user with all candidates, a request the whole "
    "way from the user's features to the best 100, both with random weights of full size."
)
# Of the cases of `requests`: the whole way from a user's features to the best 100. A ranking model has no index.
WHOLE_REQUESTS = ("features to top 100", "all candidates")
PRECISION = "float32"
USUAL = (10_000, 1)  # candidates and threads


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
    def load(cls, folder: Path) -> Speeds:
        """From the files in `folder`, if they are there, at the setting that most rows share, in doubt the usual.

        Raises `InputError` for a damaged one.
        """
        requests = [
            row
            for row in read_if_there(folder / REQUESTS) or []
            if row["case"] in WHOLE_REQUESTS and row["precision"] == PRECISION and row["users"] == 1
        ]
        scoring = [row for row in read_if_there(folder / SCORING) or [] if row["way"] == PRECISION]
        settings = Counter((row["items"], row["threads"]) for row in [*requests, *scoring])
        if not settings:
            return cls()
        items, threads = max(settings, key=lambda setting: (settings[setting], setting == USUAL))
        requests, scoring = (
            [row for row in rows if (row["items"], row["threads"]) == (items, threads)] for rows in (requests, scoring)
        )
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
        times = [milliseconds(of.get(model)) or "-" for of in (self.scoring_ms, self.request_ms)]
        return ("" if size is None else f"{size:,}", " / ".join(times) if set(times) != {"-"} else "")

    @property
    def setting(self) -> str:
        """
        >>> Speeds(10_000, 1).setting, Speeds(1000, 2).setting
        ('10,000 candidates, one thread', '1,000 candidates, 2 threads')
        """
        return f"{self.items:,} candidates, " + ("one thread" if self.threads == 1 else f"{self.threads} threads")

    @property
    def note(self) -> str:
        """Under which conditions, "" if nothing was measured."""
        if not self.items:
            return ""
        return (
            f"Serving: {self.setting}, {PRECISION}, median (`python -m benchmarks.latency`); empty where not measured."
        )


def milliseconds(value: float | None) -> str:
    """To two digits that count, whole from 10 on; "" for None.

    >>> [milliseconds(value) for value in (0.0911, 0.5574, 2.2711, 195.3426, None)]
    ['0.091', '0.56', '2.3', '195', '']
    """
    if value is None:
        return ""
    digits = next((digits for bound, digits in ((0.1, 3), (1, 2), (10, 1)) if value < bound), 0)
    return f"{value:.{digits}f}"
