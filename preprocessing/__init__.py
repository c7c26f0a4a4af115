"""Raw files -> `Dataset`: readers, protocols, encodings, feature columns. Knows no model.

Everything imports this package before torch, so the one setting that torch reads when it is loaded stands here.
"""

import os

# An OpenMP thread that waits for others spins 300,000 rounds by default. Where another process wants a core, it keeps
# it from the very thread it waits for: a training step on two busy cores took 1,325 ms, and 325 ms without spinning. A
# few rounds cost nothing there, and save falling asleep and waking on a quiet machine (55 ms a step against 72).
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
