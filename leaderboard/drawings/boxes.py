"""Boxes and arrows, of which the drawings of the architectures are made."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from leaderboard.theme import WIDTH, Theme

Place = tuple[float, float]


class Sketch:
    """Boxes and arrows on a figure, in inches."""

    def __init__(self, figure: Figure, theme: Theme):
        self.theme = theme
        figure.get_layout_engine().set(w_pad=0, h_pad=0)
        self.axis: Axes = figure.subplots()
        self.axis.set(xlim=(0, WIDTH), ylim=(0, figure.get_figheight()), aspect="equal")
        self.axis.axis("off")

    def box(self, place: Place, text: str, size: Place, color: str = "", spacing: float = 1.35) -> None:
        """A box around its centre. color: of its edge, for what makes the model that model. spacing: of its lines."""
        (x, y), (width, height) = place, size
        shape = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=self.theme.fill,
            edgecolor=color or self.theme.faint,
            linewidth=1.8 if color else 1.2,
        )
        self.axis.add_patch(shape)
        self.axis.text(x, y, text, ha="center", va="center", fontsize=11, linespacing=spacing)

    def arrow(self, start: Place, end: Place, color: str = "", dashed: bool = False, corner: bool = False) -> None:
        """corner: whether it sets out vertically and arrives horizontally."""
        style = {
            "arrowstyle": "-|>,head_length=0.5,head_width=0.22",
            "color": color or self.theme.ink,
            "linestyle": "--" if dashed else "-",
            "linewidth": 1.4,
            "connectionstyle": "angle,angleA=90,angleB=0,rad=0" if corner else "arc3",
            "shrinkA": 0,
            "shrinkB": 0,
        }
        self.axis.annotate("", end, start, arrowprops=style)

    def link(self, places: list[Place], color: str) -> None:
        """A dotted line without a direction."""
        self.axis.plot(*zip(*places, strict=True), color=color, linestyle=":", lw=1.8, zorder=0)

    def note(self, place: Place, text: str, color: str = "", align: str = "center") -> None:
        words = {"ha": align, "va": "center", "fontsize": 10, "linespacing": 1.35}
        self.axis.text(*place, text, color=color or self.theme.ink, **words)
