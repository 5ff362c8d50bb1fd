"""Several processes that train one network together, as `torchrun` starts them.

Each is a *rank* (0, 1, …) and learns from its share of every batch; gradients are summed over all.
Rank 0 alone prepares, validates, writes and prints; the others wait for it.
"""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

PATIENCE_SECONDS = 6 * 3600
"""For what rank 0 does alone while the others wait: preparing a corpus, validating."""
GLANCE = timedelta(seconds=1)
"""How long a waiting rank is deaf to signals."""


class RankError(Exception):
    """Another process of the run ended or did not answer; says which one heard of it and how."""


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among those of the run; without arguments, it is the only one.

    All but `first` must be called by every rank, in the same order. They raise RankError if
    another rank is gone or silent.
    """

    rank: int = 0
    world: int = 1
    store: Store | None = None
    """Where rank 0 says that it is done with something the others wait for."""
    turns: Iterator[int] = field(default_factory=count)
    """Numbers what they wait for."""
    parent: int = field(default_factory=os.getppid)
    """The process that started this one."""

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and prints."""
        return self.rank == 0

    @property
    def orphaned(self) -> bool:
        """Whether `torchrun` is gone, so that nobody would end or restart this rank any more."""
        return self.world > 1 and os.getppid() != self.parent

    def parallel(self, model: nn.Module) -> nn.Module:
        """`model` with gradients that are averaged over all ranks as they come."""
        if self.world == 1:
            return model
        with self.answering():
            return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def total(self, values: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """The sum of everybody's values."""
        if self.world > 1:
            with self.answering():
                dist.all_reduce(values)
        return values

    def any(self, fact: bool) -> bool:
        """Whether it is a fact for any rank."""
        if self.world == 1:
            return fact
        return bool(self.total(torch.tensor([float(fact)])) > 0)

    def gather(self, value: T) -> list[T]:
        """Everybody's value by rank, for rank 0; the others get an empty list."""
        if self.world == 1:
            return [value]
        gathered: list[Any] | None = [None] * self.world if self.first else None
        with self.answering():
            dist.gather_object(value, gathered)
        return gathered or []

    def on_first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do `work` while the others wait; all get its result or its exception."""
        if self.world == 1:
            return work()
        outcome: list[Any] = [None, None]
        if self.first:
            try:
                outcome[0] = work()
            except Exception as error:  # noqa: BLE001 - raised below, on every rank
                outcome[1] = error
        with self.answering():
            self._wait_for_first()
            dist.broadcast_object_list(outcome, src=0)
        if outcome[1] is not None:
            raise outcome[1]
        result: T = outcome[0]
        return result

    def _wait_for_first(self) -> None:
        """Wait with patience, so that the exchange that follows needs none.

        In an exchange, rank 0 would wait as patiently for a rank that is gone.
        """
        assert self.store is not None
        turn = f"turn {next(self.turns)}"
        if self.first:
            self.store.set(turn, "done")
            return
        for _ in range(PATIENCE_SECONDS):
            try:
                self.store.wait([turn], GLANCE)
            except dist.DistStoreError:
                continue
            return
        raise RuntimeError(f"rank 0 is still not done after {PATIENCE_SECONDS} seconds")

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turns what torch raises when another rank is gone into a RankError."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if self.world == 1:
                raise
            reason = str(error).strip().split("\n")[0]
            raise RankError(
                f"rank {self.rank} of {self.world}: another process of the run has ended or does "
                f"not answer ({reason}); the state that was saved is whole, and the same command "
                "goes on from it"
            ) from error


@contextmanager
def all_ranks(timeout_seconds: int) -> Iterator[Ranks]:
    """Join the other processes that `torchrun` started; alone where it did not start this one.

    In an update, a rank waits for the others for at most `timeout_seconds`. Gradients go by NCCL
    between GPUs, everything else by gloo. Raises RankError if the others are not met in that time.
    The process has to end in `ending_at_once`.
    """
    world = _world()
    if world == 1:
        yield Ranks()
        return
    rank = int(os.environ["RANK"])
    timeout = timedelta(seconds=timeout_seconds)
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    # The agent of torchrun keeps its store, and with it the addresses of ranks that are no more.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    with Ranks(rank, world).answering():
        store, _, _ = next(rendezvous("env://", timeout=timeout))
        store = PrefixStore(f"attempt {attempt}", store)
        dist.init_process_group(
            backend,
            store=PrefixStore("exchange", store),
            rank=rank,
            world_size=world,
            timeout=timeout,
        )
    yield Ranks(rank, world, PrefixStore("turns", store))


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Ends a rank's process with the status that it would have had, but without tidying up.

    Torch 2.13 tears a gloo group down while it holds Python's lock, for which the group's own
    thread may be waiting (seen in about one of five ends); and where another rank is
    gone, the group would wait for it.
    """
    if _world() == 1:
        yield
        return
    status: object = 1
    try:
        yield
        status = 0
    except SystemExit as ended:
        status = ended.code or 0
    except BaseException:  # noqa: BLE001 - the process ends here
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is alone or rank 0."""
    return os.environ.get("RANK", "0") == "0"
