"""Drawings of IntTower and HIT: the user's side above, the item's below, from left to right."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from leaderboard.theme import WIDTH, Picture, Theme

Place = tuple[float, float]


class Sketch:
    """Boxes and arrows on a figure, in inches."""

    def __init__(self, figure: Figure, theme: Theme):
        self.theme = theme
        figure.set_layout_engine("constrained", w_pad=0, h_pad=0)
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
        color = color or self.theme.ink
        self.axis.text(*place, text, color=color, ha=align, va="center", fontsize=10, linespacing=1.35)


HEIGHT = 4.9
MIDDLE = HEIGHT / 2
SIDES = (("user", "u", 1), ("item", "v", -1))  # name, index, direction of its outer edge
BOX = 0.74  # height of a box
ROW = 1.58  # from the middle to the boxes of a side


def int_tower(figure: Figure, theme: Theme) -> None:
    """Light-SE before each tower, FE-Block over all user layers and the last item layer, CIR of the last layers."""
    sketch = Sketch(figure, theme)
    layers = {1: (4.55, 300), 2: (5.5, 300), 3: (6.45, 128)}
    block = (5.5, MIDDLE), (2.75, 1.36)
    for side, index, out in SIDES:
        y = MIDDLE + out * ROW
        _inputs(sketch, side, index, y, f"embeddings\n$E_{index}$: F × 32")
        sketch.box((3.2, y), f"Light-SE\n$V_{index} = E_{index} + a \\cdot E_{index}$", (1.5, BOX), theme.ours)
        sketch.arrow((2.32, y), (2.45, y))
        before = 3.95
        for layer, (x, size) in layers.items():
            sketch.box((x, y), f"$h_{index}^{layer}$\n{size}", (0.68, BOX))
            sketch.arrow((before, y), (x - 0.34, y))
            before = x + 0.34
            if side == "user" or layer == len(layers):
                sketch.arrow((x, y - out * BOX / 2), (x, MIDDLE + out * block[1][1] / 2), theme.ours)
    heads = "$M_u^i$: 4 heads of 64 of each $h_u^i$\n$M_v$: 4 heads of 64 of $h_v^3$"
    product = "$s_i = \\Sigma_p \\max_q \\langle M_u^i[p], M_v[q] \\rangle$"
    sketch.box(block[0], f"FE-Block\n{heads}\n{product}", block[1], theme.ours, 1.6)
    sketch.box((7.85, MIDDLE), "$\\hat y = \\sigma(\\Sigma_i\\, s_i + b)$", (1.45, BOX))
    sketch.arrow((6.88, MIDDLE), (7.12, MIDDLE))
    sketch.note((3.2, MIDDLE), "$a = \\mathrm{softmax}(W z + b)$,\n$z$: mean of each\nfield's 32 numbers", theme.ours)
    ends, edge = [(6.79, MIDDLE + ROW), (6.79, MIDDLE - ROW)], WIDTH - 0.15
    sketch.link([ends[0], (edge, ends[0][1]), (edge, ends[1][1]), ends[1]], theme.two_towers)
    sketch.note(
        (7.8, MIDDLE + 1.02), "CIR, in training only: pulls\n$h_u^3$ to $h_v^3$ of liked items", theme.two_towers
    )
    words = "$h$: linear map, batch norm, ReLU; $h^1$ reads $V$ and the dense features"
    sketch.note((WIDTH - 0.1, HEIGHT - 0.2), words, align="right")
    _costs(sketch, "$M_v$")


def hit(figure: Figure, theme: Theme) -> None:
    """Generators of mimics of the other side into each tower, heads at its end."""
    sketch = Sketch(figure, theme)
    static = {"user": "static features:\ngender, age", "item": "static feature:\nmovie_id"}
    for side, index, out in SIDES:
        y, generators = MIDDLE + out * ROW, MIDDLE + out * 0.5
        inner = y - out * BOX / 2
        _inputs(sketch, side, index, y, f"embeddings\n$E_{index}$")
        sketch.box((4.0, y), f"$[x_{index},\\ g_{index}^+,\\ g_{index}^-]$", (1.5, BOX))
        sketch.box((5.65, y), "tower\n300, 300, 32", (1.25, BOX))
        sketch.box((7.55, y), f"representer $r_{index}$:\n2 heads of 16", (1.5, BOX), theme.ours)
        sketch.box((2.9, generators), f"generators\n$g_{index}^+,\\ g_{index}^-$", (1.3, BOX), theme.ours)
        for start, end in ((2.32, 3.25), (4.75, 5.02), (6.28, 6.8)):
            sketch.arrow((start, y), (end, y))
        sketch.arrow((1.75, inner), (2.25, generators), theme.ours, dashed=True, corner=True)
        sketch.note((1.62, generators), static[side], theme.ours, "right")
        sketch.arrow((3.4, generators + out * BOX / 2), (3.4, inner), theme.ours, dashed=True)
        sketch.arrow((6.95, inner), (3.55, MIDDLE - out * 0.5), theme.two_towers, dashed=True)
        sketch.arrow((7.75, inner), (7.75, MIDDLE + out * 0.48))
    product = "$s = \\Sigma_p \\max_q \\langle r_u[p], r_v[q] \\rangle$"
    sketch.box((7.75, MIDDLE), f"{product}\n$\\hat y = \\sigma(s + b)$", (2.2, 0.96), spacing=1.8)
    sketch.note((5.85, MIDDLE), "generation loss:\n$g_u$ mimics $r_v$,\n$g_v$ mimics $r_u$", theme.two_towers)
    words = "$x$: $E$ and the dense features; $g^+$ learns from liked rows, $g^-$ from the others"
    sketch.note((WIDTH - 0.1, HEIGHT - 0.2), words, align="right")
    _costs(sketch, "$r_v$")
    sketch.note((WIDTH - 0.1, 0.2), "dashed: no gradient flows back", align="right")


def _inputs(sketch: Sketch, side: str, index: str, y: float, embeddings: str) -> None:
    sketch.box((0.57, y), f"{side}'s\nfeatures", (0.94, BOX))
    sketch.box((1.75, y), embeddings, (1.14, BOX))
    sketch.arrow((1.04, y), (1.18, y))


def _costs(sketch: Sketch, stored: str) -> None:
    """When each side is computed."""
    sketch.note((0.1, HEIGHT - 0.2), "user: once a request", align="left")
    sketch.note((0.1, 0.2), f"items: ahead of time, {stored} is stored", align="left")


ARCHITECTURES = {"int_tower": Picture(HEIGHT, int_tower), "hit": Picture(HEIGHT, hit)}
