"""One extension of several beams at once, on numbers small enough to check by hand."""

import numpy as np
import pytest
import torch

from model.beam import extend
from model.layout import RowLayout
from model.ranking import candidates


def banned(size, token=0):
    return np.arange(size) == token


def log_table(rows):
    return torch.tensor(rows).log()


def test_each_sentence_keeps_its_best_over_all_its_rows():
    logits = log_table([[0.0, 0.6, 0.4], [0.0, 0.9, 0.1], [0.0, 0.3, 0.7]])
    extension = extend(
        log_probs=np.log(np.array([0.5, 0.4, 1.0], dtype=np.float32)),
        options=candidates(logits, banned(3)),
        layout=RowLayout.of(np.array([0, 0, 1]), 2),
        widths=np.array([3, 1]),
        widest=3,
    )
    # 0.4 · 0.9, 0.5 · 0.6, 0.5 · 0.4 of the first sentence; 1.0 · 0.7 of the second.
    assert extension.parents.tolist() == [1, 0, 0, 2]
    assert extension.tokens.tolist() == [1, 1, 2, 2]
    assert extension.sentences.tolist() == [0, 0, 0, 1]
    assert np.exp(extension.log_probs) == pytest.approx([0.36, 0.3, 0.2, 0.7])
    assert np.exp(extension.token_log_probs) == pytest.approx([0.9, 0.6, 0.4, 0.7])


def test_a_narrow_beam_takes_the_first_of_what_a_wide_one_takes():
    torch.manual_seed(2)
    # Rounded so that many tokens are exactly equally probable.
    logits = torch.randn(4, 30).round()
    rows = RowLayout.of(np.arange(4), 4)
    options = candidates(logits, banned(30))
    start = np.zeros(4, dtype=np.float32)
    greedy = extend(start, options, rows, np.ones(4, dtype=np.int64), widest=1)
    wide = extend(start, options, rows, np.full(4, 5), widest=5)
    assert wide.tokens.reshape(4, 5)[:, 0].tolist() == greedy.tokens.tolist()
    mixed = extend(start, options, rows, np.array([1, 5, 1, 5]), widest=5)
    assert mixed.tokens.tolist() == [
        *greedy.tokens[:1].tolist(),
        *wide.tokens[5:10].tolist(),
        *greedy.tokens[2:3].tolist(),
        *wide.tokens[15:].tolist(),
    ]
