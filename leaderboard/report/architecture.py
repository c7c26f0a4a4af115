"""Drawings of IntTower and HIT."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from leaderboard.report.theme import Theme, draw

Place = tuple[float, float]
SIDES = (("user", "u", 2.1, -1), ("item", "v", 7.9, 1))  # name, index, centre, direction of its outer edge


class Sketch:
    """Boxes and arrows on a figure, in units of a tenth of its width."""

    def __init__(self, figure: Figure, theme: Theme, height: float):
        self.theme = theme
        self.axis: Axes = figure.subplots()
        self.axis.set(xlim=(0, 10), ylim=(0, height), aspect="equal")
        self.axis.axis("off")

    def box(self, x: float, y: float, text: str, width: float = 2.4, height: float = 0.62, color: str = "") -> None:
        """A box around its centre. color: of its edge, for what makes the model that model."""
        shape = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0.02,rounding_size=0.08",
            facecolor=self.theme.fill,
            edgecolor=color or self.theme.faint,
            linewidth=1.8 if color else 1.2,
        )
        self.axis.add_patch(shape)
        self.axis.text(x, y, text, ha="center", va="center", fontsize=9)

    def arrow(self, start: Place, end: Place, color: str = "", dashed: bool = False, bend: float = 0.0) -> None:
        style = {
            "arrowstyle": "-|>",
            "color": color or self.theme.ink,
            "linestyle": "--" if dashed else "-",
            "connectionstyle": f"arc3,rad={bend}",
            "shrinkA": 0,
            "shrinkB": 0,
        }
        self.axis.annotate("", end, start, arrowprops=style)

    def note(self, x: float, y: float, text: str, color: str = "", align: str = "center") -> None:
        self.axis.text(x, y, text, ha=align, va="center", fontsize=8, color=color or self.theme.ink, style="italic")


def int_tower(figure: Figure, theme: Theme) -> None:
    """Light-SE below each tower, FE-Block over all user layers and the last item layer, CIR of both last layers."""
    sketch = Sketch(figure, theme, 7.4)
    for side, index, x, _ in SIDES:
        sketch.box(x, 0.5, f"{side}'s features")
        sketch.box(x, 1.45, f"embeddings $E_{index}$  (F × 32)")
        sketch.box(x, 2.4, "Light-SE:  $V = E + a \\cdot E$", color=theme.ours)
        for layer, size in enumerate((300, 300, 128), start=1):
            sketch.box(x, 2.4 + 0.95 * layer, f"$h_{index}^{layer}$   {size}, batch norm, ReLU")
        for step in range(5):
            sketch.arrow((x, 0.83 + 0.95 * step), (x, 1.12 + 0.95 * step))
    sketch.box(
        5.0,
        4.3,
        "FE-Block\n\n$M_u^i$: $H_u$ heads of\neach user layer\n\n$M_v$: $H_v$ heads of\nthe last item layer\n\nMaxSim",
        1.9,
        3.0,
        theme.ours,
    )
    for layer in (1, 2, 3):
        y = 2.4 + 0.95 * layer
        sketch.arrow((3.32, y), (4.03, y), theme.ours)
    sketch.arrow((6.68, 5.25), (5.97, 5.25), theme.ours)
    sketch.arrow((5.0, 5.82), (5.0, 6.4))
    sketch.box(
        5.0,
        6.75,
        "$\\hat y = \\sigma(\\Sigma_i\\, \\Sigma_p \\max_q \\langle M_u^i[p], M_v[q] \\rangle + b)$",
        4.2,
        0.66,
    )
    sketch.arrow((2.1, 5.58), (2.1, 6.35), theme.two_towers, dashed=True)
    sketch.arrow((7.9, 5.58), (7.9, 6.35), theme.two_towers, dashed=True)
    sketch.note(1.35, 6.62, "CIR: InfoNCE of both\nlast layers, in\ntraining only", theme.two_towers)
    sketch.note(8.65, 6.62, "pulls a user to the liked\nitems of the batch", theme.two_towers)
    sketch.note(5.0, 0.5, "items: ahead of time, one $M_v$ each\nuser: once a request")


def hit(figure: Figure, theme: Theme) -> None:
    """Generators of mimics of the other side into each tower, heads at its end."""
    sketch = Sketch(figure, theme, 7.6)
    for side, index, x, out in SIDES:
        inner = x - out * 1.35
        sketch.box(x, 0.5, f"{side}'s features", 4.0)
        sketch.box(x + out * 0.9, 1.6, f"embeddings $E_{index}$", 2.1)
        sketch.box(inner + out * 0.25, 1.6, "its static\nfeatures", 1.4, 0.72)
        sketch.box(inner + out * 0.25, 2.85, f"generators\n$g_{index}^+$, $g_{index}^-$", 1.4, 0.8, theme.ours)
        sketch.box(x + out * 0.35, 4.0, f"$[x_{index},\\ g_{index}^+,\\ g_{index}^-]$", 2.9)
        sketch.box(x + out * 0.35, 4.95, "tower 300, 300, 32", 2.9)
        sketch.box(x + out * 0.35, 5.9, f"representer $r_{index}$: 2 heads of 16", 2.9, color=theme.ours)
        sketch.arrow((x + out * 0.9, 0.83), (x + out * 0.9, 1.27))
        sketch.arrow((inner + out * 0.25, 0.83), (inner + out * 0.25, 1.22))
        sketch.arrow((inner + out * 0.25, 1.98), (inner + out * 0.25, 2.43), theme.ours, dashed=True)
        sketch.arrow((inner + out * 0.25, 3.27), (inner + out * 0.45, 3.67), theme.ours, dashed=True)
        sketch.arrow((x + out * 0.9, 1.93), (x + out * 0.9, 3.67))
        for y in (4.33, 5.28):
            sketch.arrow((x + out * 0.35, y), (x + out * 0.35, y + 0.29))
        sketch.arrow((x + out * 0.35, 6.23), (5.0 + out * 1.2, 6.72))
        sketch.arrow((x - out * 1.12, 5.75), (5.0 - out * 1.28, 3.15), theme.two_towers, dashed=True)
    sketch.box(5.0, 7.05, "$\\hat y = \\sigma(\\Sigma_p \\max_q \\langle r_u[p], r_v[q] \\rangle + b)$", 3.9, 0.66)
    sketch.note(
        5.0,
        5.55,
        "generation loss:\n$g_u$ mimics $r_v$ and $g_v$ mimics $r_u$,\nthemselves not moved by it",
        theme.two_towers,
    )
    sketch.note(5.0, 1.3, "dashed orange:\ndetached", theme.ours)


def draw_architectures(folder: Path) -> list[Path]:
    return draw(folder, "int_tower", 6.6, int_tower) + draw(folder, "hit", 6.8, hit)
