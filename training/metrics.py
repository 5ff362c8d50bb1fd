"""Scores of translations against references, computed by sacrebleu so that they compare."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

TOKENS = {"zh": "zh"} | dict.fromkeys(("bo", "ja", "km", "lo", "my", "th", "yue"), "char")
"""How BLEU cuts texts of languages that put no space between words: 13a would see one word."""


@dataclass(frozen=True, slots=True)
class TranslationScores:
    """What sacrebleu says of a corpus, all between 0 and 100, higher is better."""

    bleu: float
    """BLEU on the tokens of `bleu_tokens`, case counts (Papineni et al. 2002; Post 2018)."""
    bleu_lowercase: float
    """The same with case folded, as in much published work."""
    chrf: float
    """Character n-gram F-score (Popović 2015)."""
    signature: str
    """How `bleu` was computed; two figures compare only under equal signatures."""
    chrf_signature: str
    """How `chrf` was computed."""


def bleu_tokens(language: str) -> str:
    """sacrebleu's tokenizer for a language code: 13a wherever spaces part words."""
    return TOKENS.get(language.replace("_", "-").partition("-")[0].lower(), "13a")


def score_translations(
    translations: Sequence[str], references: Sequence[str], language: str
) -> TranslationScores:
    """Corpus scores of translations into `language`, each against its one reference.

    Raises ValueError if the numbers differ or there is nothing to score.
    """
    if len(translations) != len(references) or not translations:
        raise ValueError(
            f"{len(translations)} translations for {len(references)} references; "
            "there must be as many, and at least one"
        )
    tokens = bleu_tokens(language)
    bleu, lowercase, chrf = BLEU(tokenize=tokens), BLEU(lowercase=True, tokenize=tokens), CHRF()
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
