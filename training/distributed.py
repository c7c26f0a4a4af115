"""Training in several processes: which rows each computes, and what they tell each other.

`current()` is the group that this process belongs to. A process alone is a group of one, in which nothing is exchanged
and nothing changes. Under torchrun (`experiment/torchrun.py` joins the processes) the batches are those of one
process, their rows shared out: `--batch_size` counts the rows of all processes together.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from foundation.errors import InputError
from kernels.row_optimizers import summed_rows
from training.protocols import BatchSource, Trainable, labels_of

MIN_ROWS = 2  # of a process in a batch, for batch statistics
AGREE_EVERY = 64  # steps
T = TypeVar("T")


class Group:
    """A process alone."""

    rank, size = 0, 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks to the user."""
        return self.rank == 0

    def check(self, batch_size: int) -> None:
        """Raises `InputError` if a batch is too small to be shared out."""

    def wrap(self, objective: nn.Module, tables: Sequence[nn.Parameter], has_idle_parameters: bool) -> nn.Module:
        """The module to call in training in place of `objective`.

        tables: parameters with sparse gradients. has_idle_parameters: whether the loss leaves some out.
        """
        return objective

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        """batch: (B,) rows -> those that this process computes, and the weight of their mean loss.

        The weighted losses of all processes have the loss of the whole batch as their mean, whatever the shares.
        """
        return batch, 1.0

    def exchange(self, tables: Iterable[nn.Parameter]) -> None:
        """Makes the sparse gradients of the tables those of the whole batch."""

    def mean(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        """The mean over the processes of each value."""
        return sums

    def merge(self, values: Tensor) -> Tensor:
        """(n,) values, each known to at least one process and -inf in the others -> all of them, in every process."""
        return values

    def score(self, source: BatchSource, predict: Callable[[BatchSource], Tensor]) -> Tensor:
        """predict: source -> its logits. Returns the logits of all rows, of which each process computes a part."""
        return predict(source)

    def agree(self, step: int, decide: Callable[[], bool]) -> bool:
        """What the main process decides; where there are others, asked at every 64th step only."""
        return decide()

    def once(self, compute: Callable[[], T]) -> T:
        """What the main process computes, or the `InputError` that it raises, in every process."""
        return compute()

    def seed(self, *numbers: int) -> None:
        """Gives this process random numbers of its own, a function of these numbers alone."""

    def agree_on_buffers(self, module: nn.Module | Trainable) -> None:
        """Gives every process the main process's buffers: batch norm's running statistics."""

    def require_same(self, describe: Callable[[], dict[str, str]]) -> None:
        """Raises `InputError`, in every process, where one describes something otherwise than the main process."""

    def wait(self) -> None:
        """Until all processes are here."""


class Ranks(Group):
    """One of the processes that torchrun started."""

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size

    def check(self, batch_size: int) -> None:
        if batch_size < MIN_ROWS * self.size:
            raise InputError(
                f"A batch of {batch_size} rows cannot be shared out to {self.size} processes with at least {MIN_ROWS} "
                "rows each. Raise --batch_size, which counts the rows of all processes."
            )

    def wrap(self, objective: nn.Module, tables: Sequence[nn.Parameter], has_idle_parameters: bool) -> nn.Module:
        by_row = {id(table) for table in tables}
        for table in tables:
            dist.broadcast(table.data, 0)
        # DDP would send all rows of a table; `exchange` sends those of the batch. The method is private in name, but
        # what TorchRec calls for the same purpose.
        names = [name for name, parameter in objective.named_parameters() if id(parameter) in by_row]
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(objective, names)
        return DistributedDataParallel(objective, find_unused_parameters=has_idle_parameters)

    def share(self, batch: Tensor) -> tuple[Tensor, float]:
        if len(batch) < MIN_ROWS * self.size:  # the end of an epoch: too few to share, so that all compute all of them
            return batch, 1.0
        rows = batch.tensor_split(self.size)[self.rank]
        return rows, self.size * len(rows) / len(batch)

    def exchange(self, tables: Iterable[nn.Parameter]) -> None:
        for table in tables:
            if table.grad is None:  # frozen
                continue
            rows, gradient = summed_rows(table.grad)
            counts = [int(count) for count in self._gather(torch.tensor([len(rows)], device=rows.device))]
            # Processes send the same number of rows: what is missing is filled up, and cut off on arrival.
            missing = max(counts) - len(rows)
            every_rows = self._gather(torch.cat([rows, rows.new_zeros(missing)]))
            every_gradient = self._gather(torch.cat([gradient, gradient.new_zeros(missing, gradient.shape[1])]))
            rows = torch.cat([part[:count] for part, count in zip(every_rows, counts, strict=True)])
            gradient = torch.cat([part[:count] for part, count in zip(every_gradient, counts, strict=True)])
            table.grad = torch.sparse_coo_tensor(
                rows.unsqueeze(0), gradient / self.size, table.shape, check_invariants=False
            )

    def _gather(self, value: Tensor) -> list[Tensor]:
        every = [torch.empty_like(value) for _ in range(self.size)]
        dist.all_gather(every, value)
        return every

    def mean(self, sums: dict[str, Tensor]) -> dict[str, Tensor]:
        values = torch.stack(list(sums.values()))
        dist.all_reduce(values)
        return dict(zip(sums, values / self.size, strict=True))

    def merge(self, values: Tensor) -> Tensor:
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return values

    def score(self, source: BatchSource, predict: Callable[[BatchSource], Tensor]) -> Tensor:
        labels = labels_of(source)
        rows = torch.arange(len(source), device=labels.device).tensor_split(self.size)[self.rank]
        logits = torch.full((len(source),), -torch.inf, device=labels.device)
        if len(rows):
            logits[rows] = predict(source.take(rows))
        return self.merge(logits)

    def agree(self, step: int, decide: Callable[[], bool]) -> bool:
        return step % AGREE_EVERY == 0 and self.once(decide)

    def once(self, compute: Callable[[], T]) -> T:
        outcome: list[Any] = [None]  # of the main process: what it computed, and its error
        if self.is_main:
            try:
                outcome = [(compute(), None)]
            except InputError as error:
                outcome = [(None, error)]
        dist.broadcast_object_list(outcome, 0, device=torch.device("cpu"))
        value, refusal = outcome[0]
        if refusal is not None:
            raise refusal
        return value

    def seed(self, *numbers: int) -> None:
        torch.manual_seed(int(np.random.SeedSequence([*numbers, self.rank]).generate_state(1, np.uint64)[0]))

    def agree_on_buffers(self, module: nn.Module | Trainable) -> None:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)

    def require_same(self, describe: Callable[[], dict[str, str]]) -> None:
        every: list[dict[str, str]] = [{}] * self.size
        dist.all_gather_object(every, describe())
        for rank, one in enumerate(every):
            different = [name for name in every[0] if one.get(name) != every[0][name]]
            if different:
                name = different[0]
                raise InputError(
                    f"The processes do not train the same: {', '.join(different)} of process {rank} are not those of "
                    f"process 0. Received: {one.get(name)}; and {every[0][name]}. Give all of them the same data and "
                    "settings."
                )

    def wait(self) -> None:
        dist.all_reduce(torch.zeros(1))


def current() -> Group:
    """The group of this process."""
    return Ranks(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else Group()


@contextlib.contextmanager
def main_first() -> Iterator[None]:
    """The main process runs the block first, the others after it: they find what it downloaded and cached."""
    group = current()
    if not group.is_main:
        group.wait()
    yield
    if group.is_main:
        group.wait()
