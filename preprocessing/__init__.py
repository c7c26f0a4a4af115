"""Raw files -> `Dataset`: readers, protocols, encodings, feature columns. Knows no model.

Everything imports this package before torch, so the one setting that torch reads when it is loaded stands here.
"""

import os

# OpenMP threads that wait for others spin by default. Where another process wants a core, they keep it from the very
# thread they wait for: training on two busy cores took four times as long (1,325 ms a step instead of 325).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
