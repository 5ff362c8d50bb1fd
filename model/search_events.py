"""What a search is asked, and what it tells after each step."""

from dataclasses import dataclass, field

from model.hypothesis import Hypothesis, SearchOptions


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A sentence to be searched."""

    source: tuple[int, ...]
    """Source ids, ended by EOS."""
    options: SearchOptions = field(default_factory=SearchOptions)
    target: tuple[int, ...] | None = None
    """Target ids, ended by EOS, to be followed instead of searched for: teacher forcing."""
    stream: bool = False
    """Whether every step reports the sentence's `Progress`."""
    head: bool = False
    """Whether hypotheses carry `head_weights`; the network must have an alignment head."""

    def __post_init__(self) -> None:
        if self.target == ():
            raise ValueError("the target is empty; it must at least have its EOS")


@dataclass(frozen=True, slots=True)
class Progress:
    """A streamed sentence after a step in which it did not end."""

    slot: int
    best: Hypothesis
    """The most probable live hypothesis; its last token and its last row are this step's.

    The last row of its `head_weights` does not know yet what follows, and changes by the next step.
    """
    stable: int
    """Leading tokens that all live hypotheses and the best finished one agree upon."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A sentence has left the table with its n-best hypotheses, best first."""

    slot: int
    hypotheses: list[Hypothesis]


@dataclass(frozen=True, slots=True)
class Failed:
    """A sentence has left the table because the network gave it no probabilities."""

    slot: int
    reason: str


Event = Progress | Finished | Failed
