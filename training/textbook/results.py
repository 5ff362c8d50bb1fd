"""The figures of a comparison, as they are stored in JSON and drawn in the report."""

from dataclasses import asdict, dataclass
from typing import Any

from training.textbook.course import Point
from training.textbook.lengths import LengthScores
from training.textbook.throughput import Throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one variant reached with its budget."""

    label: str
    choices: dict[str, Any]
    parameters: int
    """Trained weights, a shared table counted once."""
    steps: int
    """Updates made or skipped."""
    tokens: int
    """Target tokens learned from."""
    clipped: float
    """Share of updates whose gradient was scaled down."""
    skipped: int
    """Updates skipped because loss or gradient was not finite."""
    points: list[Point]
    loss: float
    """Of the validation pairs, nats a target token."""
    bleu: float
    chrf: float
    signature: str
    by_length: dict[str, list[LengthScores]]
    """Of all sentences and, where the validation pairs name several origins, of each."""
    aer: float | None
    """Percent, best rule; None without gold alignments or without attention."""

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Result":
        """The inverse of `asdict`."""
        return cls(
            **{
                **values,
                "points": [Point(**point) for point in values["points"]],
                "by_length": {
                    origin: [LengthScores(**scores) for scores in buckets]
                    for origin, buckets in values["by_length"].items()
                },
            }
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """A variant whose training could not go on."""

    label: str
    choices: dict[str, Any]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A result among the others."""

    result: Result
    throughput: Throughput
    steps_to_loss: float | None
    """Updates to the common loss; None if it was not reached."""
    p_value: float | None
    """Of its BLEU being equal to the leader's (paired bootstrap); None for the leader itself."""

    @property
    def seconds_to_loss(self) -> float | None:
        """Time to the common loss: its updates at the speed measured side by side."""
        if self.steps_to_loss is None:
            return None
        return self.steps_to_loss * self.throughput.seconds_per_update

    def as_dict(self) -> dict[str, Any]:
        """Plain values, flat."""
        return {
            **asdict(self.result),
            **asdict(self.throughput),
            "steps_to_loss": self.steps_to_loss,
            "seconds_to_loss": self.seconds_to_loss,
            "p_value": self.p_value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All figures of one comparison."""

    title: str
    data: str
    """Where the sentences come from, as the configuration's card says."""
    budget: str
    loss: float
    """The common loss that `steps_to_loss` refers to."""
    standings: list[Standing]
    """In the order in which the variants were asked for."""
    failures: list[Failure]
    recommendation: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **{name: getattr(self, name) for name in ("title", "data", "budget", "loss")},
            "recommendation": self.recommendation,
            "variants": [standing.as_dict() for standing in self.standings],
            "failures": [asdict(failure) for failure in self.failures],
        }
