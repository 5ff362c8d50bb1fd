"""Links that the client makes from a matrix are those of the service's own rules."""

import pytest
import torch

from model.alignment import agreed_links, links
from softalign import SegmentAlignment

WEIGHTS = torch.tensor([[0.6, 0.1, 0.0], [0.2, 0.5, 0.0], [0.1, 0.2, 0.0]], dtype=torch.double)
EOS = 1 - WEIGHTS.sum(dim=1)


def segment() -> SegmentAlignment:
    rows = tuple(map(tuple, WEIGHTS.tolist()))
    return SegmentAlignment(0, (), (), rows, tuple(EOS.tolist()), None)


@pytest.mark.parametrize("threshold", [0.1, 0.25, 0.4, 0.6])
def test_by_agreement(threshold):
    expected = [(link.source, link.target) for link in agreed_links(WEIGHTS, threshold)]
    assert expected
    assert list(segment().linked("head", "agreement", threshold)) == expected


@pytest.mark.parametrize("threshold", [None, 0.15, 0.5])
def test_by_weight(threshold):
    expected = [(link.source, link.target) for link in links(WEIGHTS, threshold, EOS)]
    assert list(segment().linked("head", "weight", threshold)) == expected
