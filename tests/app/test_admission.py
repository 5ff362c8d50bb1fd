"""Who is let in, told without a network."""

import contextlib

import pytest

from app.admission import Admission, Backlog, Claim, Load, guess_load
from app.errors import OverloadedError, RateLimitedError
from app.pace import UNMEASURED_SECONDS, Pace
from app.settings import Settings


def claim(caller="a", sentences=1, tokens=10, work=0.0, seconds=30.0, lane="interactive"):
    return Claim(caller, lane, Load(sentences, tokens), work, seconds)


@pytest.fixture
def admit():
    """An admission with given limits."""

    def make(**limits):
        limits = {"max_caller_share": 1.0} | limits
        return Admission(Settings(**limits), Pace(), Backlog())

    return make


def admitted(admission, claims, stack):
    """How many of these are let in, all of which stay."""
    count = 0
    for one in claims:
        with contextlib.suppress(OverloadedError, RateLimitedError):
            stack.enter_context(admission.reserve(one))
            count += 1
    return count


@pytest.mark.parametrize("limit", [1, 99, 100, 101])
def test_a_burst_of_a_thousand_lets_exactly_as_many_in_as_there_is_room(admit, limit):
    admission = admit(max_pending_sentences=limit)
    with contextlib.ExitStack() as stack:
        burst = [claim(caller=str(i)) for i in range(1_000)]
        assert admitted(admission, burst, stack) == limit
        assert admission.held == Load(limit, 10 * limit)
    assert admission.held == Load()
    assert admission.backlog.ahead("interactive", "0", 1.0) == 0


def test_tokens_are_bounded_too(admit):
    with contextlib.ExitStack() as stack:
        assert admitted(admit(max_pending_tokens=95), [claim()] * 20, stack) == 9


def test_an_idle_service_takes_a_request_of_any_size(admit):
    admission = admit(max_pending_sentences=1, max_pending_tokens=1, max_caller_share=0.1)
    with admission.reserve(claim(sentences=50, tokens=5_000, work=1e6)):
        pass


def test_a_guess_becomes_the_truth_once_the_text_is_read(admit):
    admission = admit()
    with admission.reserve(claim(work=3.0)) as reservation:
        assert admission.backlog.ahead("interactive", "a", 9.0) == 3.0
        reservation.read(Load(4, 55))
        assert admission.held == Load(4, 55)
        assert admission.backlog.ahead("interactive", "a", 9.0) == 0
    assert admission.held == Load()


def test_a_caller_has_its_share_and_leaves_room_for_others(admit):
    admission = admit(max_pending_sentences=10, max_caller_share=0.5)
    with contextlib.ExitStack() as stack:
        assert admitted(admission, [claim("greedy")] * 200, stack) == 5
        with pytest.raises(RateLimitedError) as refusal, admission.reserve(claim("greedy")):
            pass
        assert int(refusal.value.headers["Retry-After"]) >= 1
        assert admitted(admission, [claim(f"polite {i}") for i in range(10)], stack) == 5


def test_who_would_wait_longer_than_it_may_is_refused_at_the_door(admit):
    admission = admit(max_wait_seconds=5.0)
    with admission.reserve(claim(work=4.5)):
        with admission.reserve(claim(work=1.0)):
            with pytest.raises(OverloadedError) as refusal, admission.reserve(claim(work=1.0)):
                pass
            assert 5 < int(refusal.value.headers["Retry-After"]) <= 10
        with pytest.raises(OverloadedError), admission.reserve(claim(work=1.0, seconds=3.0)):
            pass


def test_a_caller_with_nothing_waiting_is_let_in_although_another_has_a_lot(admit):
    admission = admit(max_wait_seconds=1.0)
    with admission.reserve(claim("greedy", work=60.0)), admission.reserve(claim("b", work=0.1)):
        with pytest.raises(OverloadedError), admission.reserve(claim("greedy", work=0.1)):
            pass
        with admission.reserve(claim("c", work=0.1)):
            pass


def test_many_callers_with_little_wait_for_each_other_all_the_same(admit):
    admission = admit(max_wait_seconds=1.0)
    with contextlib.ExitStack() as stack:
        burst = [claim(str(i), work=0.1) for i in range(1_000)]
        assert 10 <= admitted(admission, burst, stack) <= 12


def test_a_full_bulk_lane_leaves_the_interactive_one_open(admit):
    admission = admit(max_wait_seconds=1.0)
    with admission.reserve(claim(work=60.0, lane="bulk")):
        with pytest.raises(OverloadedError), admission.reserve(claim(work=1.0, lane="bulk")):
            pass
        with admission.reserve(claim(work=1.0)):
            pass


def test_the_load_of_a_text_is_guessed_from_its_characters():
    assert guess_load(["Yes."]) == Load(1, 2)
    assert guess_load(["x" * 250, "y"]) == Load(4, 66)
    assert UNMEASURED_SECONDS > 0
