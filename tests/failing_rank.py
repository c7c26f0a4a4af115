"""How processes fail together, for `test_distributed.py`: torchrun starts this file. Not a test itself.

    torchrun --nproc_per_node=2 tests/failing_rank.py killed|input|bug|late

Process 1 fails, while process 0 would go on for ever; or process 0 fails late, when process 1 is done.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from experiment.script import run
from foundation.errors import InputError
from training.distributed import current


def main() -> None:
    group, how = current(), sys.argv[1]
    if how == "late":
        if group.rank == 0:
            time.sleep(2)
            raise ZeroDivisionError("by accident")
        return
    while group.rank == 0:
        group.wait()
    for _ in range(10):
        group.wait()
    if how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "input":
        raise InputError("This row is wrong.")
    raise ZeroDivisionError("by accident")


if __name__ == "__main__":
    run(main)
