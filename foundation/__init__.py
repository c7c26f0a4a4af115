"""What all floors share: errors, whole files, sealed JSON, locks, interrupts. Knows nothing of the project above it.

Packages where a program begins (`experiment`, `model`, `preprocessing`, `serving`) import this one first, scripts and
programs of others alike: what torch reads when it is loaded must be set before, and is set here. A program that has
imported torch already, or has set it, is left as it is.
"""

import os

# An OpenMP thread that waits for others spins 300,000 rounds by default. Where another process wants a core, it keeps
# it from the very thread it waits for: an IntTower step on two busy cores took seconds, and 325 ms without
# spinning. A few rounds cost nothing there, and on a quiet machine they save falling asleep and waking up.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
