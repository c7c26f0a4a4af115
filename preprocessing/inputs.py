"""The releases' module of this name: deepctr-torch's feature columns and what is computed from them."""

import foundation.deepctr  # noqa: F401 - first, so that importing deepctr-torch has no side effects

# isort: split
from deepctr_torch.inputs import *  # noqa: F403 - whatever the installed version has

from published.inputs import compute_input_dim  # noqa: F401 - a method of models there
