"""Scores of translations against references, computed by sacrebleu so that they compare."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF


@dataclass(frozen=True, slots=True)
class TranslationScores:
    """What sacrebleu says of a corpus, all between 0 and 100, higher is better."""

    bleu: float
    """BLEU on 13a tokens, case counts (Papineni et al. 2002; Post 2018)."""
    bleu_lowercase: float
    """The same with case folded, as in much published work."""
    chrf: float
    """Character n-gram F-score (Popović 2015)."""
    signature: str
    """How `bleu` was computed; two figures compare only under equal signatures."""
    chrf_signature: str
    """How `chrf` was computed."""


def score_translations(translations: Sequence[str], references: Sequence[str]) -> TranslationScores:
    """Corpus scores of translations, each against its one reference.

    Raises ValueError if the numbers differ or there is nothing to score.
    """
    if len(translations) != len(references) or not translations:
        raise ValueError(
            f"{len(translations)} translations for {len(references)} references; "
            "there must be as many, and at least one"
        )
    bleu, lowercase, chrf = BLEU(), BLEU(lowercase=True), CHRF()
    return TranslationScores(
        bleu=bleu.corpus_score(translations, [references]).score,
        bleu_lowercase=lowercase.corpus_score(translations, [references]).score,
        chrf=chrf.corpus_score(translations, [references]).score,
        signature=str(bleu.get_signature()),
        chrf_signature=str(chrf.get_signature()),
    )


def perplexity(loss: float) -> float:
    """exp of a mean negative log-likelihood in nats; infinite where that overflows."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
