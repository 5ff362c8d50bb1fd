"""Our scores are sacrebleu's, and say how they were computed."""

import math

import pytest
from sacrebleu import corpus_bleu, corpus_chrf

from training.metrics import perplexity, score_translations

TRANSLATIONS = ["The Cat sits on the mat today.", "He said : « yes » .", "One two three four five"]
REFERENCES = ["the cat sat on the mat today.", "He said: « yes ».", "one two three four five six"]


def test_scores_are_those_of_sacrebleu():
    scores = score_translations(TRANSLATIONS, REFERENCES, "fr")
    assert scores.bleu == corpus_bleu(TRANSLATIONS, [REFERENCES]).score
    assert scores.bleu_lowercase == corpus_bleu(TRANSLATIONS, [REFERENCES], lowercase=True).score
    assert scores.chrf == corpus_chrf(TRANSLATIONS, [REFERENCES]).score
    assert scores.bleu < scores.bleu_lowercase


def test_signatures_name_tokens_case_and_version():
    scores = score_translations(TRANSLATIONS, REFERENCES, "fr")
    assert "case:mixed" in scores.signature
    assert "tok:13a" in scores.signature
    assert "version:" in scores.chrf_signature


@pytest.mark.parametrize(
    ("language", "tokens"),
    [("ja", "char"), ("zh", "zh"), ("zh-Hant", "zh"), ("th", "char"), ("ko", "13a"), ("de", "13a")],
)
def test_languages_without_spaces_are_scored_by_character(language, tokens):
    scores = score_translations(
        ["彼は今小説を書いている。"], ["彼は今小説を読んでいる。"], language
    )
    assert f"tok:{tokens}" in scores.signature
    assert (scores.bleu > 40) == (tokens != "13a")


@pytest.mark.parametrize("references", [[], REFERENCES[:2]])
def test_what_does_not_pair_up_is_not_scored(references):
    with pytest.raises(ValueError, match="translations for"):
        score_translations(TRANSLATIONS if references else [], references, "fr")


def test_perplexity_is_the_exponential_of_the_loss():
    assert perplexity(math.log(50)) == pytest.approx(50)
    assert perplexity(1e6) == math.inf
