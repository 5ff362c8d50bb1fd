"""Paired bootstrap of BLEU."""

from training.textbook.significance import p_values


def test_equal_translations_are_equal_and_worse_ones_are_not():
    references = [f"the number {n} stands in this line of text" for n in range(40)]
    worse = [text if n % 2 else "the number stands in a line" for n, text in enumerate(references)]
    found = p_values(references, {"same": references, "worse": worse}, references, "en")
    assert found["same"] == 1.0
    assert found["worse"] < 0.05


def test_leader_alone_is_compared_with_nobody():
    assert p_values(["a"], {}, ["a"], "en") == {}
