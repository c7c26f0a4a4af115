"""Pictures that depend on nothing but matplotlib: no display, no backend, no settings of its user, no markup in texts.

With a backend in the environment that it does not know, such as a notebook's where a notebook's packages are not
installed, matplotlib cannot even be imported: `import_matplotlib` can.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from foundation.atomic import write_atomic
from foundation.shown import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKEND = "MPLBACKEND"
KEPT = ("backend", "font.")  # the user's: what pyplot draws with; fonts that may have the letters of his titles
DOTS_PER_INCH = 120
EXPECTED = ("Glyph .* missing", "Matplotlib currently does not support", "constrained_layout not applied")  # warnings


class PictureError(Exception):
    """A picture cannot be drawn or written. The message is one line."""


def import_matplotlib() -> ModuleType:
    """matplotlib, whatever backend the environment names. It is slow to import: call this when something is drawn."""
    if "matplotlib" in sys.modules:
        return sys.modules["matplotlib"]
    backend = os.environ.pop(BACKEND, None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ[BACKEND] = backend
    if backend:
        with suppress(ValueError):  # for whoever imports pyplot later in this process, as matplotlib would have done
            matplotlib.rcParams["backend"] = backend
    return matplotlib


@contextmanager
def plain_style(more: dict | None = None) -> Iterator[None]:
    """matplotlib's own settings but for fonts, and `more`, in place of those of a file of the user.

    Letters that no font has are drawn as boxes, and texts that are too long over others, without a warning for each.
    """
    matplotlib = import_matplotlib()
    settings = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith(KEPT)}
    with warnings.catch_warnings(), matplotlib.rc_context(settings | (more or {})):
        warnings.filterwarnings("ignore", "|".join(EXPECTED), UserWarning)
        yield


def draw_png(size: tuple[float, float], paint: Callable[[Figure], None]) -> bytes:
    """A PNG file. size: width and height in inches. paint: draws on an empty figure; every text is taken literally.

    Raises `PictureError` for whatever goes wrong.
    """
    try:
        with plain_style({"text.parse_math": False}):
            # Not pyplot, which asks for a backend and keeps every figure.
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure

            figure = Figure(figsize=size, layout="constrained")
            FigureCanvasAgg(figure)
            paint(figure)
            picture = io.BytesIO()
            figure.savefig(picture, format="png", dpi=DOTS_PER_INCH)
        return picture.getvalue()
    except Exception as error:  # of matplotlib, its fonts, its folders, its installation: nothing here is worth a run
        raise PictureError(f"No picture can be drawn: {_in_a_line(error)}") from error


def save_picture(path: Path, draw: Callable[[], bytes]) -> bool:
    """Writes what `draw` gives; whatever fails is a warning on standard error. -> whether the picture is there"""
    try:
        write_atomic(path, draw())
    except PictureError as error:
        problem = str(error)
    except OSError as error:
        problem = f"{path} cannot be written: {_in_a_line(error)}"
    except Exception as error:  # a picture never costs a result
        problem = f"{path} cannot be drawn: {_in_a_line(error)}"
    else:
        return True
    print(f"WARNING: {visible(problem)} All else is there.", file=sys.stderr, flush=True)
    return False


def _in_a_line(error: Exception) -> str:
    """
    >>> _in_a_line(ValueError("no font\\n  found"))
    'ValueError: no font found.'
    """
    reason = getattr(error, "strerror", None) or error
    return f"{type(error).__name__}: {' '.join(str(reason).split())[:200].rstrip('.')}."
