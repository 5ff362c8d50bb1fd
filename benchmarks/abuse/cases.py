"""What a case is: something that is done to the service, a figure, and the number it must meet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.abuse.bench import Bench

Run = Callable[[Bench], Awaitable[str]]
"""Does it, and gives the figure; raises MissedError where the figure does not meet the bar."""

CASES: dict[str, "Case"] = {}
"""All cases by id, in the order in which their modules were imported."""


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the report."""

    id: str
    what: str
    bar: str
    """The pass number, in words."""
    run: Run


class MissedError(Exception):
    """The figure that was found does not meet the bar."""


class UnableError(Exception):
    """This machine lacks what the case needs: a program, or a right."""


def case(identity: str, what: str, bar: str) -> Callable[[Run], Run]:
    """Add a case."""

    def add(run: Run) -> Run:
        assert identity not in CASES
        CASES[identity] = Case(identity, what, bar, run)
        return run

    return add


def require(met: bool, figure: str) -> None:
    """Miss the bar unless it is met."""
    if not met:
        raise MissedError(figure)
