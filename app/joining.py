"""Which waiting sentences join the table before the next step. Pure decisions, no thread."""

from collections.abc import Sequence

from app.engine import Job
from app.lanes import FairQueue

JOINING_SHARE = 1 / 8
"""Part of the table that is let run empty before others join, so that they are encoded together:
a sentence alone costs nearly what eight cost."""

MAX_JOINING_TOKENS = 1_024
"""Source pieces encoded between two steps, so that those who are in the table hardly notice."""

MOST_PADDING = 1.5
"""How much longer than the shortest the longest sentence of one encoding may be."""


def free_rows(budget: int, reserved: int) -> int:
    """Rows that may be taken now, of `budget` of which `reserved` are spoken for."""
    room = budget - reserved
    return room if room >= JOINING_SHARE * budget else 0


def take(waiting: FairQueue[Job], budget: int, reserved: int, now: float) -> list[Job]:
    """Take those whose turn it is and who have room, and those whose time is up before it.

    An empty table takes one sentence however wide its beam is.
    """
    room, tokens = free_rows(budget, reserved), MAX_JOINING_TOKENS
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


def mini_batches(jobs: Sequence[Job]) -> list[list[Job]]:
    """Sentences of about the same length together, so that little of an encoding is padding."""
    batches: list[list[Job]] = []
    for job in sorted(jobs, key=lambda job: len(job.request.source)):
        shortest = len(batches[-1][0].request.source) if batches else 0
        if batches and len(job.request.source) <= MOST_PADDING * shortest + 4:
            batches[-1].append(job)
        else:
            batches.append([job])
    return batches
