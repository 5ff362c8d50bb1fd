"""Which waiting sentences join the table before the next step. Pure decisions, no thread."""

from app.engine import Job
from app.lanes import FairQueue
from app.pace import NEWEST_SHARE

JOINING_SHARE = 1 / 2
"""Part of the table that is let run empty before others join, so that they are encoded together."""

MAX_JOINING_TOKENS = 1_024
"""Source pieces encoded between two steps, so that those who are in the table hardly notice."""

PATIENCE = 4.0
"""How long those who wait may wait together, in times of what their encoding costs the others."""

LONGEST_GATHERING_SECONDS = 0.05
"""How long anybody for whom there is room waits for company or for more room."""


class Gathering:
    """Decides when those who wait are encoded. Its methods belong to the worker, or to its lock.

    An encoding takes hardly longer for four sentences than for one, and meanwhile all who are in
    the table stand still. So the first to come waits for others, until those who wait have together
    lost as much as they would cost those in the table: the rule of economic lots (Harris 1913), by
    which what is lost by waiting is to equal what is lost by setting up. It is more than that by
    `PATIENCE`, since what an encoding costs is lost for all who come later too. Where nobody is in
    the table nobody waits.
    """

    def __init__(self) -> None:
        self._since = 0.0
        self._encoding_seconds = 0.0
        """Running mean of what one encoding takes."""

    def begin(self, now: float) -> None:
        """The first of those who wait has come, or all before them have joined."""
        self._since = now

    def is_over(self, waiting: int, live: int, now: float) -> bool:
        """Whether the `waiting` are to be encoded now, while `live` sentences are in the table."""
        price = PATIENCE * live * self._encoding_seconds
        return waiting * (now - self._since) >= price or self.is_long(now)

    def is_long(self, now: float) -> bool:
        """Whether they have waited so long that they take whatever room there is."""
        return now - self._since >= LONGEST_GATHERING_SECONDS

    def note_encoding(self, seconds: float) -> None:
        """One encoding took so long."""
        self._encoding_seconds += NEWEST_SHARE * (seconds - self._encoding_seconds)


def free_rows(budget: int, reserved: int, share: float = JOINING_SHARE) -> int:
    """Rows that may be taken now, of `budget` of which `reserved` are spoken for.

    None where they are a smaller `share` of all.
    """
    room = budget - reserved
    return room if room >= share * budget else 0


def take(
    waiting: FairQueue[Job],
    budget: int,
    reserved: int,
    now: float,
    share: float = JOINING_SHARE,
) -> list[Job]:
    """Take those whose turn it is and who have room, and those whose time is up before it.

    An empty table takes one sentence however wide its beam is.
    """
    room, tokens = free_rows(budget, reserved, share), MAX_JOINING_TOKENS
    is_empty = reserved == 0
    taken: list[Job] = []

    def fits(job: Job) -> bool:
        if is_gone(job, now) or is_empty:
            return True
        is_short = len(job.request.source) <= tokens or tokens == MAX_JOINING_TOKENS
        return job.rows <= room and is_short

    while (job := waiting.pop(fits)) is not None:
        taken.append(job)
        if not is_gone(job, now):
            is_empty = False
            room -= job.rows
            tokens -= len(job.request.source)
    return taken


def is_gone(job: Job, now: float) -> bool:
    """Whether nobody wants this sentence any more."""
    return job.abandoned or job.deadline <= now
