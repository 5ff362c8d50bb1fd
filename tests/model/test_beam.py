"""One extension of several beams at once, on numbers small enough to check by hand."""

import torch

from model.beam import candidates, extend

BANNED = torch.tensor([0])


def log_table(rows):
    return torch.tensor(rows).log()


def test_candidates_keep_the_networks_own_probabilities():
    found = candidates(log_table([[0.5, 0.1, 0.4]]), BANNED)
    best, second = found.log_probs[0].exp().sort(descending=True).values[:2].tolist()
    assert found.tokens[0, found.log_probs[0].argmax()] == 2
    assert abs(best - 0.4) < 1e-6
    assert abs(second - 0.1) < 1e-6


def test_each_sentence_keeps_its_best_over_all_its_rows():
    logits = log_table([[0.0, 0.6, 0.4], [0.0, 0.9, 0.1], [0.0, 0.3, 0.7]])
    extension = extend(
        log_probs=torch.tensor([0.5, 0.4, 1.0]).log(),
        options=candidates(logits, BANNED),
        sentences=torch.tensor([0, 0, 1]),
        widths=torch.tensor([3, 1]),
        widest=3,
    )
    # 0.4 · 0.9, 0.5 · 0.6, 0.5 · 0.4 of the first sentence; 1.0 · 0.7 of the second.
    assert extension.parents.tolist() == [1, 0, 0, 2]
    assert extension.tokens.tolist() == [1, 1, 2, 2]
    assert extension.sentences.tolist() == [0, 0, 0, 1]
    torch.testing.assert_close(extension.log_probs.exp(), torch.tensor([0.36, 0.3, 0.2, 0.7]))
    torch.testing.assert_close(extension.token_log_probs.exp(), torch.tensor([0.9, 0.6, 0.4, 0.7]))


def test_a_narrow_beam_takes_the_first_of_what_a_wide_one_takes():
    torch.manual_seed(2)
    # Rounded so that many tokens are exactly equally probable.
    logits = torch.randn(4, 30).round()
    rows = torch.arange(4)
    options = candidates(logits, BANNED)
    start = torch.zeros(4)
    greedy = extend(start, options, rows, torch.ones(4, dtype=torch.long), widest=1)
    wide = extend(start, options, rows, torch.full((4,), 5), widest=5)
    assert wide.tokens.view(4, 5)[:, 0].tolist() == greedy.tokens.tolist()
    mixed = extend(start, options, rows, torch.tensor([1, 5, 1, 5]), widest=5)
    assert mixed.tokens.tolist() == [
        *greedy.tokens[:1].tolist(),
        *wide.tokens[5:10].tolist(),
        *greedy.tokens[2:3].tolist(),
        *wide.tokens[15:].tolist(),
    ]


def test_rows_without_a_number_are_not_finite():
    logits = torch.tensor([[0.0, 1.0, torch.nan], [0.0, 1.0, 2.0], [torch.inf, 0.0, 0.0]])
    finite = candidates(logits, BANNED).log_probs.isfinite().any(dim=1)
    assert finite.tolist() == [False, True, False]
