"""Scores by the length of the source, against BLEU worked out by hand."""

import math

import pytest

from training.textbook.lengths import EDGES, FEWEST, score_by_length


def test_buckets_are_scored_by_themselves():
    reference = "the cat sat on the mat"
    # Five of six words, all n-grams right: every precision is 1, brevity alone counts.
    cut = "the cat sat on the"
    lengths = [EDGES[0]] * FEWEST + [EDGES[0] + 1] * FEWEST
    scores = score_by_length(lengths, [reference] * FEWEST + [cut] * FEWEST, [reference] * 20, "en")
    assert [(s.label, s.sentences) for s in scores] == [("1–10", 10), ("11–20", 10)]
    assert scores[0].bleu == pytest.approx(100)
    assert scores[1].bleu == pytest.approx(100 * math.exp(1 - 6 / 5))
    assert scores[1].chrf < scores[0].chrf == pytest.approx(100)


def test_precisions_count_over_the_whole_bucket():
    # 1-grams 4 of 5, 2-grams 3 of 4, 3-grams 2 of 3, 4-grams 1 of 2, in each of ten sentences.
    scores = score_by_length([70] * 10, ["a b c d x"] * 10, ["a b c d e"] * 10, "en")
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert scores[0].label == "61–80"
    assert scores[0].bleu == pytest.approx(expected)


def test_bucket_of_few_sentences_is_left_out_and_the_last_has_no_end():
    lengths = [5] * (FEWEST - 1) + [EDGES[-1] + 1] * FEWEST
    texts = ["one two three four"] * len(lengths)
    scores = score_by_length(lengths, texts, texts, "en")
    assert [score.label for score in scores] == ["81+"]
