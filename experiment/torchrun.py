"""The processes that torchrun started: how they join, and how one that fails ends all with one message.

torchrun restarts nothing by default: as soon as a process has ended in an error it asks the others to stop (SIGTERM),
and prints a table of its own that names the process. The message here comes first and says what happened. The first
process to know writes it; the others end in silence. Only the main process prints anything else.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from foundation.errors import InputError
from foundation.shown import visible_lines

PATIENCE = 5.0  # seconds that a process which lost the others waits to learn why
# Of a collective operation: one process may download and read a data set first, while the others wait; torch's default
# of ten minutes with NCCL is too short for that. A process that dies is noticed at once by its broken connections.
TIMEOUT = timedelta(hours=2)


def local_rank() -> int | None:
    """The number of this process on its machine, None without torchrun."""
    return int(os.environ["LOCAL_RANK"]) if dist.is_torchelastic_launched() else None


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Runs the block together with the other processes of torchrun; without torchrun simply runs it."""
    if local_rank() is None:
        yield
        return
    job = Job()
    try:
        with job.quiet_unless_main():
            yield
        job.leave()
        dist.destroy_process_group()
    except (Exception, KeyboardInterrupt) as error:
        sys.exit(job.end(error))


class Job:
    """This process among the others."""

    def __init__(self):
        self.store, self.rank, self.size = next(rendezvous("env://"))
        backend = "gloo"
        place = local_rank()
        if torch.cuda.is_available() and place is not None and place < torch.cuda.device_count():
            torch.cuda.set_device(place)
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(backend, store=self.store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)
        self.store.set(f"process/{self.rank}", json.dumps([socket.gethostname(), os.getpid()]))
        self.others = {
            rank: json.loads(self.store.get(f"process/{rank}")) for rank in range(self.size) if rank != self.rank
        }
        self.ending = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)

    def _stop(self, *_) -> None:
        if not self.ending:  # once: how a process ends is not to be interrupted
            self.ending = True
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def quiet_unless_main(self) -> Iterator[None]:
        if self.rank == 0:
            yield
            return
        with (
            open(os.devnull, "w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
        ):
            yield

    def leave(self) -> None:
        """Lets the others know that this process ends on purpose, or has said why it fails."""
        self.ending = True
        self.store.set(f"left/{self.rank}", "")

    def end(self, error: BaseException) -> int:
        """Says why the job ends, if no other process did. Returns the exit status."""
        self.ending = True
        lost = [] if isinstance(error, InputError) else self._lost(error)
        who = f"process {self.rank} of {self.size} (counted from 0)"
        if lost:
            names = ", ".join(f"{rank} (pid {self.others[rank][1]})" for rank in lost)
            saved = str(error) if isinstance(error, KeyboardInterrupt) else ""
            status = 1
            message = f"error: process {names} of {self.size} was killed or crashed, so all stop. {saved}".rstrip()
        elif isinstance(error, InputError):
            status, message = 2, f"error: {error}\nThis was {who}."
        elif isinstance(error, KeyboardInterrupt):
            status, message = 130, str(error) or "Interrupted."
        else:
            status, message = 1, f"{traceback.format_exc()}error: {who} failed, so all stop."
        if status == 130:  # all were told to stop, by the user or for a failure; the main process knows what was saved
            speaks = self.rank == 0 and not self.store.check(["failed"])
        else:
            speaks = self.store.add("failed", 1) == 1
        if speaks:
            print(f"\n{visible_lines(message)}", file=sys.stderr, flush=True)
            _tell_torchrun(message)
        self.leave()
        return status

    def _lost(self, error: BaseException) -> list[int]:
        """The processes of this machine that have ended without a word, unless another process has named them."""
        deadline = time.monotonic() + (PATIENCE if isinstance(error, RuntimeError) else 0.0)
        while True:
            if self.store.check(["failed"]):
                return []
            here = [rank for rank, (host, pid) in self.others.items() if host == socket.gethostname()]
            dead = [rank for rank in here if not _is_alive(self.others[rank][1])]
            lost = [rank for rank in dead if not self.store.check([f"left/{rank}"])]
            if lost or time.monotonic() > deadline:
                return lost
            time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _tell_torchrun(message: str) -> None:
    """Puts the message into torchrun's table."""
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if path:
        content = {"message": {"message": message, "extraInfo": {"timestamp": int(time.time())}}}
        Path(path).write_text(json.dumps(content), encoding="utf-8")


@contextlib.contextmanager
def waiting_for_the_cause() -> Iterator[None]:
    """A broken connection to another process, for which a signal follows, ends as that signal does."""
    try:
        yield
    except RuntimeError:
        if local_rank() is not None:
            time.sleep(PATIENCE)  # which the signal's KeyboardInterrupt ends
        raise
