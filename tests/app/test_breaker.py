"""The circuit breaker."""

from app.breaker import Breaker


def test_a_failure_keeps_callers_away_until_a_probe_succeeds():
    time = [0.0]
    breaker = Breaker(5.0, clock=lambda: time[0])
    assert breaker.allows()
    assert not breaker.is_open
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allows()
    time[0] = 5.0
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.failed()
    time[0] = 9.9
    assert not breaker.allows()
    time[0] = 10.0
    assert breaker.allows()
    breaker.succeeded()
    assert breaker.allows()
    assert not breaker.is_open


def test_a_probe_that_never_comes_back_does_not_close_the_way_for_ever():
    time = [0.0]
    breaker = Breaker(5.0, clock=lambda: time[0])
    breaker.failed()
    time[0] = 5.0
    assert breaker.allows()
    time[0] = 10.0
    assert breaker.allows()
