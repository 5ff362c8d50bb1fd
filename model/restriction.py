"""What the search does not let a hypothesis go on with, however probable the network finds it."""

import numpy as np
from jaxtyping import Bool, Int

from model.decoder import Step
from model.ranking import Candidates, candidates_among
from model.repetition import repeats
from model.spelling import Spelling


def restrict(
    options: Candidates,
    step: Step,
    past: Int[np.ndarray, "R T"],
    spelling: Spelling | None,
    run_lengths: Int[np.ndarray, " R"],
    run_limits: Int[np.ndarray, " R"],
) -> Candidates:
    """Leave out what would break off a character or repeat a run of tokens once too often.

    Probabilities stay the network's own, as with tokens that are never produced. `past` holds the
    tokens of each row, aligned to the right; the last two are as in `repetition.repeats`.
    """
    if spelling is not None:
        options = _spelt(options, step, spelling, spelling.states(past))
    repeating = repeats(past, options.tokens, run_lengths, run_limits)
    return _without(options, repeating) if repeating.any() else options


def _spelt(
    options: Candidates, step: Step, spelling: Spelling, states: Int[np.ndarray, " R"]
) -> Candidates:
    """Rows inside a character go on with a byte of it, the others begin with no such byte."""
    allowed = spelling.allows(states, options.tokens)
    if not allowed.all():
        options = _without(options, ~allowed)
    inside = states.nonzero()[0]
    if inside.size:
        # So few pieces are allowed here that none may be among the most probable ones.
        every = spelling.all_allowed(states[inside])
        options = candidates_among(options, step.logits, inside, every, step.exact)
    return options


def _without(options: Candidates, unwanted: Bool[np.ndarray, "R C"]) -> Candidates:
    """The others; a row that would have none keeps all, since it has to go on somehow."""
    left = np.where(unwanted, -np.inf, options.log_probs).astype(options.log_probs.dtype)
    stuck = ~np.isfinite(left).any(axis=1)
    left[stuck] = options.log_probs[stuck]
    return Candidates(options.tokens, left, options.log_gain)
