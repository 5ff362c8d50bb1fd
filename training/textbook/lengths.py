"""Translation scores by the length of the source: where a fixed vector fails first."""

from collections.abc import Sequence
from dataclasses import dataclass

from training.metrics import score_translations

EDGES = (10, 20, 30, 40, 60, 80)
"""Longest source of each bucket, in pieces without EOS; a last bucket holds what is longer."""
ALL = "all sentences"
"""Name of the group of all sentences, beside those of single origins."""
FEWEST = 10
"""Sentences without which a bucket is not scored: corpus BLEU of fewer says nothing."""


@dataclass(frozen=True, slots=True)
class LengthScores:
    """The sentences of one bucket."""

    shortest: int
    longest: int | None
    """None for the last bucket, which has no end."""
    sentences: int
    bleu: float
    chrf: float

    @property
    def label(self) -> str:
        """The range of lengths as a reader wants it."""
        if self.longest is None:
            return f"{self.shortest}+"
        return f"{self.shortest}–{self.longest}"


def score_by_length(
    lengths: Sequence[int], translations: Sequence[str], references: Sequence[str], language: str
) -> list[LengthScores]:
    """Corpus BLEU and chrF of each bucket that has enough sentences, the shortest first.

    `language` is that of the translations.
    """
    buckets: list[list[int]] = [[] for _ in range(len(EDGES) + 1)]
    for index, length in enumerate(lengths):
        buckets[sum(length > edge for edge in EDGES)].append(index)
    starts = (0, *EDGES)
    return [
        _scores(
            start + 1,
            end,
            [translations[index] for index in indices],
            [references[index] for index in indices],
            language,
        )
        for start, end, indices in zip(starts, (*EDGES, None), buckets, strict=True)
        if len(indices) >= FEWEST
    ]


def _scores(
    shortest: int,
    longest: int | None,
    translations: Sequence[str],
    references: Sequence[str],
    language: str,
) -> LengthScores:
    scores = score_translations(translations, references, language)
    return LengthScores(shortest, longest, len(translations), scores.bleu, scores.chrf)
