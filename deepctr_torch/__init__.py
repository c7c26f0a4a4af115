"""The installed deepctr-torch, without the side effects of importing it.

deepctr-torch 0.3.0 needs `requests`, which it does not declare, and on import starts a thread that asks a package index
for newer versions: it prints where that fails, and waits where no answer comes. All of it lives in
`deepctr_torch.utils`, which nothing else in the package uses. A script in this repository finds this package before the
installed one: it puts an inert `utils` in place, and every other module is the installed package's own.
"""

import importlib.metadata
import sys
import types
from importlib.machinery import PathFinder


def _installed() -> list[str]:
    """Folders of the first package of this name on the path that has modules, which this one has not."""
    for entry in sys.path:
        spec = PathFinder.find_spec(__name__, [entry])
        folders = list(spec.submodule_search_locations or ()) if spec else []
        if PathFinder.find_spec(f"{__name__}.inputs", folders):
            return folders
    raise ModuleNotFoundError(
        "deepctr-torch is not installed. Install what requirements.txt lists: pip install -r requirements.txt",
        name=__name__,
    )


def check_version(version: str) -> None:
    """Asks no one."""


__path__ = _installed()
__spec__.submodule_search_locations = __path__
__version__ = importlib.metadata.version("deepctr-torch")
utils = sys.modules[f"{__name__}.utils"] = types.ModuleType(
    f"{__name__}.utils", "Without the check for newer versions."
)
utils.check_version = check_version

from . import layers, models  # noqa: E402  - they may be imported from here on

__all__ = ["__version__", "layers", "models"]
