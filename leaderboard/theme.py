"""How the pictures of this project look: one set of colours on light paper, one on dark, the same shapes on both."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from foundation.atomic import write_atomic
from leaderboard.entrants import OURS, is_two_tower, model_of
from model import MODELS
from training.pictures import plain_style

HIT_MARKER = "D"  # a diamond tells it from IntTower, which shares its colour


@dataclass(frozen=True)
class Theme:
    """ink: text and axes. faint: grids and connecting lines. The others are kinds of models."""

    name: str
    paper: str
    ink: str
    faint: str
    ours: str
    two_towers: str
    ranking: str
    fill: str

    def color_of(self, model: str) -> str:
        """Of one of `ENTRANTS`: the papers' own models, other two-tower models, ranking models."""
        if model_of(model) in OURS:
            return self.ours
        return self.two_towers if is_two_tower(model) else self.ranking

    def families(self) -> list[Line2D]:
        """Legend entries: the papers' own models and the families of the others."""
        own = [self._entry(MODELS[name].title, self.ours, marker_of(name)) for name in OURS]
        others = {"other two-tower models": self.two_towers, "ranking models": self.ranking}
        return own + [self._entry(label, color) for label, color in others.items()]

    def ring(self, label: str) -> Line2D:
        """Legend entry of a number that is not ours."""
        return Line2D([], [], marker="o", linestyle="", mfc="none", mec=self.ink, label=label)

    def _entry(self, label: str, color: str, marker: str = "o") -> Line2D:
        return Line2D([], [], marker=marker, linestyle="", color=color, label=label)


def marker_of(model: str) -> str:
    return HIT_MARKER if model_of(model) == "hit" else "o"


LIGHT = Theme("light", "#ffffff", "#1f2328", "#d8dee4", "#c2410c", "#1d6fb8", "#6e7781", "#f3f5f8")
DARK = Theme("dark", "#0d1117", "#e6edf3", "#30363d", "#ff9d5c", "#6cb6ff", "#9aa4ae", "#171d26")
THEMES = (LIGHT, DARK)
DOTS_PER_INCH = 160
WIDTH = 9.0  # inches: legible at the width of a README


@dataclass(frozen=True)
class Picture:
    """height: in inches. paint: draws on an empty figure in a theme."""

    height: float
    paint: Callable[[Figure, Theme], None]

    def on(self, theme: Theme) -> Figure:
        with plain_style(_style(theme)):
            figure = Figure(figsize=(WIDTH, self.height), dpi=DOTS_PER_INCH, layout="constrained")
            self.paint(figure, theme)
        return figure


def draw(folder: Path, name: str, picture: Picture) -> list[Path]:
    """Writes `name-light.png` and `name-dark.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for theme in THEMES:
        figure, png = picture.on(theme), io.BytesIO()
        with plain_style(_style(theme)):  # ticks get their style as they are drawn
            figure.savefig(png, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        paths.append(folder / f"{name}-{theme.name}.png")
        write_atomic(paths[-1], png.getvalue())
    return paths


def _style(theme: Theme) -> dict:
    return {
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


def picture(figures: str, name: str, alt: str, caption: str = "") -> str:
    """A picture on light and on dark, and below it what to look at.

    >>> print(picture("figure", "a", "A curve", "It rises."))  # doctest: +ELLIPSIS
    <picture>...<img src="figure/a-light.png" alt="A curve" width="100%"></picture>
    <BLANKLINE>
    *It rises.*
    """
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{figures}/{name}-dark.png">'
    shown = f'<picture>{source}<img src="{figures}/{name}-light.png" alt="{alt}" width="100%"></picture>'
    return f"{shown}\n\n*{caption}*" if caption else shown
