"""What a search is asked for and what it answers: options, hypotheses, and how they are ranked."""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

LONGEST_TARGET = 600
"""Target tokens at which a hypothesis is cut when its sentence names no limit."""

COVERAGE_FLOOR = 1e-6
"""Attention that a source position gets at the least, so that a lost one costs β·13.8, not ∞."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How one sentence is searched; raises ValueError naming the option that is wrong."""

    beam_size: int = 5
    """Hypotheses followed at once (K); 1 is greedy search."""
    n_best: int = 1
    """Hypotheses returned, best first; at most `beam_size`."""
    length_penalty: float = 1.0
    """α of Wu et al. (2016): 0 ranks by log-probability alone, which favours short targets."""
    coverage_penalty: float = 0.0
    """β of Wu et al. (2016): how much a hypothesis loses for source positions not attended."""
    no_repeat_ngram_size: int = 4
    """n: no run of n tokens comes again, unless the source repeats itself (`model/repetition.py`);
    0 forbids nothing."""
    max_length: int | None = None
    """Longest target in tokens, EOS counted; None allows min(600, 2·S + 20)."""

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"beam_size is {self.beam_size}; it must be at least 1")
        if not 1 <= self.n_best <= self.beam_size:
            raise ValueError(
                f"n_best is {self.n_best}; it must be between 1 and beam_size ({self.beam_size})"
            )
        for name in ("length_penalty", "coverage_penalty"):
            # Written so that NaN fails too. A negative α would break the stopping rule's bound.
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be finite and >= 0")
        if self.no_repeat_ngram_size < 0:
            raise ValueError(
                f"no_repeat_ngram_size is {self.no_repeat_ngram_size}; it must be at least 0"
            )
        if self.max_length is not None and self.max_length < 1:
            raise ValueError(f"max_length is {self.max_length}; it must be at least 1 token")

    def longest_target(self, source_length: int) -> int:
        """Target tokens, EOS counted, after which a hypothesis of this source is cut."""
        if self.max_length is not None:
            return self.max_length
        return min(LONGEST_TARGET, 2 * source_length + 20)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One translation: its tokens, how probable each was, and what each attended."""

    tokens: tuple[int, ...]
    """Target ids without BOS; the last is EOS if and only if `finished`."""
    log_prob: float
    """Sum of `token_log_probs`, in nats."""
    token_log_probs: tuple[float, ...]
    """log p(y_i | y_<i, x) of the network itself, one for each token, in nats."""
    score: float
    """`log_prob` after the penalties; what hypotheses are ranked by."""
    weights: Float[Tensor, "T W"]
    """α_ij, row i for token i over the source's own positions; W is 0 without attention."""
    finished: bool
    """False when the length limit cut it off before EOS."""
    head_weights: Float[Tensor, "T S"] | None = None
    """The alignment head's weights, likewise, where they were asked for."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A hypothesis that left the beam: where in the trellis it ends, and its score."""

    node: int
    log_prob: float
    score: float
    finished: bool


def length_penalty(length: int, alpha: float) -> float:
    """lp(Y) = ((5 + |Y|) / 6)^α (Wu et al. 2016, equation 14); |Y| counts EOS."""
    return float(((5.0 + length) / 6.0) ** alpha)


def coverage_penalty(coverage: Float[Tensor, " W"], beta: float) -> float:
    """cp(X; Y) = β Σ_j log min(Σ_i α_ij, 1) (Wu et al. 2016, equation 14).

    `coverage` is Σ_i α_ij of each source position that needs translating, so without EOS. It is
    floored at 1e-6. Without attention there is nothing to cover and the penalty is 0.
    """
    return beta * float(coverage.clamp(min=COVERAGE_FLOOR, max=1.0).log().sum())


def score(
    log_prob: float, length: int, weights: Float[Tensor, "T W"] | None, options: SearchOptions
) -> float:
    """s(Y, X) = log P(Y | X) / lp(Y) + cp(X; Y) (Wu et al. 2016, equation 14).

    `weights` may be None where `options.coverage_penalty` is 0. Its last column is the source's
    EOS, which no target token has to cover.
    """
    normalised = log_prob / length_penalty(length, options.length_penalty)
    if weights is None or options.coverage_penalty == 0.0:
        return normalised
    coverage = weights.sum(dim=0)[:-1]
    return normalised + coverage_penalty(coverage, options.coverage_penalty)


def best_first(endings: Iterable[Ending]) -> list[Ending]:
    """Endings in the order in which they are returned.

    A cut-off hypothesis is no translation, so it stands behind every finished one. Among equals
    the one that left the beam first stays first.
    """
    return sorted(endings, key=lambda ending: (not ending.finished, -ending.score))
