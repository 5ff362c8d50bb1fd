"""Which sentences join the table, told without threads and networks."""

import asyncio

import pytest

from app.engine import MAX_PROBES, Job, find_causes, row_steps
from app.joining import (
    LONGEST_GATHERING_SECONDS,
    MAX_JOINING_TOKENS,
    PATIENCE,
    Gathering,
    free_rows,
    take,
)
from app.lanes import FairQueue, Place
from model.hypothesis import SearchOptions
from model.search_events import SearchRequest

NOW = 1_000.0


def job(length=5, beam=1, deadline=NOW + 1, abandoned=False):
    future = asyncio.Future(loop=asyncio.new_event_loop())
    future.get_loop().close()
    request = SearchRequest((9,) * length, SearchOptions(beam_size=beam))
    return Job("m", request, future, deadline, abandoned=abandoned)


def waiting(*jobs):
    queue = FairQueue()
    for one in jobs:
        queue.push(Place("bulk", "a", 0), one, 1.0)
    return queue


def test_as_many_join_as_have_room():
    jobs = [job(beam=4) for _ in range(5)]
    queue = waiting(*jobs)
    assert take(queue, budget=16, reserved=3, now=NOW) == jobs[:3]
    assert len(queue) == 2


def test_a_wide_beam_waits_for_room_and_is_not_passed_over():
    queue = waiting(job(beam=8), job(beam=1))
    assert take(queue, budget=16, reserved=10, now=NOW) == []


def test_an_empty_table_takes_a_sentence_of_any_width():
    wide = job(beam=8)
    assert take(waiting(wide, job(beam=8)), budget=4, reserved=0, now=NOW) == [wide]


def test_a_full_table_is_let_run_half_empty_so_that_several_join_together():
    assert free_rows(budget=64, reserved=33) == 0
    assert free_rows(budget=64, reserved=32) == 32
    assert free_rows(budget=2, reserved=1) == 1


def test_who_has_waited_long_takes_whatever_room_there_is():
    jobs = [job(beam=4) for _ in range(3)]
    assert take(waiting(*jobs), budget=64, reserved=60, now=NOW) == []
    assert take(waiting(*jobs), budget=64, reserved=60, now=NOW, share=0.0) == jobs[:1]


def gathered(encoding_seconds):
    gathering = Gathering()
    for _ in range(200):
        gathering.note_encoding(encoding_seconds)
    gathering.begin(NOW)
    return gathering


def test_nobody_waits_for_company_where_the_table_is_empty():
    assert gathered(0.004).is_over(waiting=1, live=0, now=NOW)


def test_those_who_wait_are_encoded_when_waiting_has_cost_enough():
    gathering = gathered(0.001)
    price = PATIENCE * 0.001 * 2
    assert not gathering.is_over(waiting=1, live=2, now=NOW + 0.99 * price)
    assert gathering.is_over(waiting=1, live=2, now=NOW + 1.01 * price)
    assert gathering.is_over(waiting=4, live=2, now=NOW + 1.01 * price / 4)
    assert not gathering.is_over(waiting=4, live=8, now=NOW + 0.99 * price)


def test_nobody_waits_long_for_company():
    gathering = gathered(1.0)
    assert not gathering.is_over(waiting=1, live=60, now=NOW + 0.9 * LONGEST_GATHERING_SECONDS)
    assert gathering.is_over(waiting=1, live=60, now=NOW + 1.1 * LONGEST_GATHERING_SECONDS)
    assert gathering.is_long(NOW + 1.1 * LONGEST_GATHERING_SECONDS)


def test_whose_time_is_up_takes_no_room():
    late, left, good = job(deadline=NOW), job(abandoned=True), job()
    assert take(waiting(late, left, good), budget=1, reserved=0, now=NOW) == [late, left, good]


def test_not_more_is_encoded_at_once_than_the_others_can_wait_for():
    jobs = [job(length=MAX_JOINING_TOKENS // 2 + 1) for _ in range(3)]
    queue = waiting(*jobs)
    assert [len(take(queue, budget=9, reserved=1, now=NOW)) for _ in range(3)] == [1, 1, 1]
    long = job(length=MAX_JOINING_TOKENS + 1)
    assert take(waiting(long), budget=9, reserved=1, now=NOW) == [long]


@pytest.mark.parametrize("bad", [{0}, {99}, {3, 4}, {17, 80}])
def test_the_sentences_that_make_a_step_fail_are_found(bad):
    causes = find_causes(range(100), lambda slots: bool(bad & set(slots)))
    assert set(causes) == bad


def test_a_failure_without_a_cause_has_none():
    assert find_causes(range(100), lambda _: False) == []


def test_the_search_for_causes_ends():
    tried = []
    causes = find_causes(range(300), lambda slots: tried.append(slots) or True)
    assert sorted(causes) == list(range(300))
    assert len(tried) <= MAX_PROBES + 2


def test_work_is_hypotheses_times_steps():
    assert row_steps(SearchRequest((5, 6, 3), SearchOptions(beam_size=4))) == 12
    assert row_steps(SearchRequest((5, 6, 3), SearchOptions(beam_size=4), target=(7, 3))) == 2
