"""The trellis: paths along back-pointers, common beginnings, and what is forgotten."""

import torch

from model.trellis import ROOT, Trellis


def grown():
    """Two hypotheses that share their first token, 7 8 9 and 7 5, and a third, 4."""
    trellis = Trellis()
    first, third = trellis.extend([ROOT, ROOT], [7, 4], [-0.5, -1.5], torch.eye(2))
    second, other = trellis.extend(
        [first, first], [8, 5], [-0.25, -2.0], torch.tensor([[0.75, 0.25], [0.5, 0.5]])
    )
    [last] = trellis.extend([second], [9], [-1.0], torch.tensor([[0.1, 0.9]]))
    return trellis, last, other, third


def test_a_path_follows_the_back_pointers():
    trellis, last, _, _ = grown()
    path = trellis.path(last, positions=2)
    assert path.tokens == (7, 8, 9)
    assert path.token_log_probs == (-0.5, -0.25, -1.0)
    torch.testing.assert_close(path.weights, torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.1, 0.9]]))
    assert trellis.path(last, positions=1).weights.shape == (3, 1)


def test_agreement_is_the_common_beginning():
    trellis, last, other, third = grown()
    assert trellis.agreement([last]) == 3
    assert trellis.agreement([last, other]) == 1
    assert trellis.agreement([other, last, third]) == 0


def test_collecting_keeps_exactly_what_is_led_back_to():
    trellis, last, other, _ = grown()
    before = trellis.path(last, positions=2)
    renamed = trellis.collect([last])
    assert len(trellis) == 3
    assert other not in renamed
    after = trellis.path(renamed[last], positions=2)
    assert (after.tokens, after.token_log_probs) == (before.tokens, before.token_log_probs)
    torch.testing.assert_close(after.weights, before.weights)


def test_a_wider_source_does_not_disturb_narrower_ones():
    trellis, last, _, third = grown()
    [wide] = trellis.extend([third], [6], [-0.1], torch.full((1, 4), 0.25))
    [narrow] = trellis.extend([last], [3], [-0.1], torch.tensor([[0.4, 0.6]]))
    assert trellis.path(wide, positions=4).weights[0].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert trellis.path(narrow, positions=4).weights[3, 2:].tolist() == [0.0, 0.0]


def test_room_is_doubled_when_more_than_half_is_needed():
    trellis, last, _, _ = grown()
    rows = 600
    trellis.make_room(rows)
    assert trellis.fits(2 * rows)
    trellis.extend([last] * rows, [5] * rows, [-1.0] * rows, torch.zeros(rows, 2))
    assert trellis.path(last, positions=2).tokens == (7, 8, 9)
