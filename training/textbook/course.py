"""How one variant fared while it learned: points on its curve, kept in its resume state."""

from dataclasses import asdict, dataclass, field
from typing import Any

from training.trainer import Update


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement on the way."""

    step: int
    training_loss: float
    """Mean over the target tokens learned from since the point before, in nats."""
    validation_loss: float
    """Of the averaged weights, mean over the target tokens of all validation pairs, in nats."""


@dataclass(slots=True)
class Course:
    """Totals so far, and the points measured."""

    points: list[Point] = field(default_factory=list)
    tokens: int = 0
    """Target tokens learned from."""
    seconds: float = 0.0
    """Spent in updates alone."""
    recent_loss: float = 0.0
    """Sum over the tokens since the last point."""
    recent_tokens: int = 0

    def add(self, update: Update) -> None:
        """Count one update."""
        self.tokens += update.tokens
        self.seconds += update.seconds
        self.recent_loss += update.loss * update.tokens
        self.recent_tokens += update.tokens

    def mark(self, step: int, validation_loss: float) -> None:
        """Close the stretch since the last point with a measurement."""
        training_loss = self.recent_loss / max(1, self.recent_tokens)
        self.points.append(Point(step, training_loss, validation_loss))
        self.recent_loss, self.recent_tokens = 0.0, 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Course":
        """The inverse of `as_dict`."""
        return cls(**{**values, "points": [Point(**point) for point in values["points"]]})


def step_at_loss(points: list[Point], loss: float) -> float | None:
    """Updates after which the validation loss first was `loss`, between points by a straight line.

    None if it never was.
    """
    before: Point | None = None
    for point in points:
        if point.validation_loss <= loss:
            if before is None:
                return float(point.step)
            fallen = before.validation_loss - point.validation_loss
            share = (before.validation_loss - loss) / fallen
            return before.step + share * (point.step - before.step)
        before = point
    return None
