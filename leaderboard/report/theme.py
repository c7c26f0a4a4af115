"""How the pictures of this project look: one set of colours on light paper, one on dark, the same shapes on both."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from model import MODELS
from model.base import TwoTower
from training.store import write_atomic


@dataclass(frozen=True)
class Theme:
    """ink: text and axes. faint: grids and connecting lines. The others are families of models."""

    name: str
    paper: str
    ink: str
    faint: str
    ours: str
    two_towers: str
    ranking: str
    fill: str

    def color_of(self, model: str) -> str:
        """Of a key of `MODELS`: the papers' own models, other two-tower models, ranking models."""
        if model in ("int_tower", "hit"):
            return self.ours
        return self.two_towers if issubclass(MODELS[model].model_class, TwoTower) else self.ranking

    def families(self) -> list[Line2D]:
        """Legend entries of the families of models."""
        colors = {"IntTower, HIT": self.ours, "other two-tower models": self.two_towers, "ranking": self.ranking}
        return [Line2D([], [], marker="o", linestyle="", color=color, label=label) for label, color in colors.items()]

    def ring(self, label: str) -> Line2D:
        """Legend entry of a number that is not ours."""
        return Line2D([], [], marker="o", linestyle="", mfc="none", mec=self.ink, label=label)


LIGHT = Theme("light", "#ffffff", "#1f2328", "#d8dee4", "#c2410c", "#1d6fb8", "#6e7781", "#f3f5f8")
DARK = Theme("dark", "#0d1117", "#e6edf3", "#30363d", "#ff9d5c", "#6cb6ff", "#9aa4ae", "#171d26")
WIDTH = 9.0  # inches: legible at the width of a README


def draw(folder: Path, name: str, height: float, paint: Callable[[Figure, Theme], None]) -> list[Path]:
    """Writes `name-light.png` and `name-dark.png`. paint: draws on an empty figure in a theme."""
    paths = []
    for theme in (LIGHT, DARK):
        style = {
            **{f"{part}.facecolor": theme.paper for part in ("figure", "axes", "savefig")},
            **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), theme.ink),
            "axes.edgecolor": theme.faint,
            "grid.color": theme.faint,
            "font.size": 10,
            "axes.titlesize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlelocation": "left",
        }
        with rc_context(style):
            figure = Figure(figsize=(WIDTH, height), layout="constrained")
            paint(figure, theme)
            png = io.BytesIO()
            figure.savefig(png, format="png", dpi=160, metadata={"Software": None})
        path = folder / f"{name}-{theme.name}.png"
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(path, png.getvalue())
        paths.append(path)
    return paths


def picture(figures: str, name: str, alt: str) -> str:
    """A picture on light and on dark."""
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{figures}/{name}-dark.png">'
    return f'<picture>{source}<img src="{figures}/{name}-light.png" alt="{alt}" width="100%"></picture>'
