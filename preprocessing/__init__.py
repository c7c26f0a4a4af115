"""Raw files -> `Dataset`: readers, protocols, encodings, feature columns. Knows no model.

Everything imports this package before torch, so the one setting that torch reads when it is loaded stands here.
"""

import os

# An OpenMP thread that waits for others spins 300,000 rounds by default. Where another process wants a core, it keeps
# it from the very thread it waits for: an IntTower step on two busy cores took seconds, and 325 ms without
# spinning. A few rounds cost nothing there, and on a quiet machine they save falling asleep and waking up.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
