"""Results -> pictures: `pictures.py` names all of them, `theme.py` draws each on light and on dark."""

from training.pictures import import_matplotlib

import_matplotlib()  # before a module of this folder does, which would fail with some backends in the environment
