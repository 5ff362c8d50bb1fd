"""Whose turn it is, told without threads, clocks or networks."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from app.lanes import LANE_WEIGHTS, FairQueue, Place


def filled(*entries):
    """A queue with `(place, items)`, each item of work 1 unless it is a pair with its work."""
    queue = FairQueue()
    for place, items in entries:
        for item in items:
            name, work = item if isinstance(item, tuple) else (item, 1.0)
            queue.push(place, name, work)
    return queue


def drained(queue):
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_sentences_of_one_request_come_in_order():
    queue = filled((Place("bulk", "a", 1), range(20)))
    assert drained(queue) == list(range(20))
    assert len(queue) == 0


def test_a_greedy_caller_does_not_hold_up_polite_ones():
    greedy = (Place("interactive", "greedy", 0), ["greedy"] * 200)
    polite = [(Place("interactive", f"polite {i}", 1 + i), [f"polite {i}"]) for i in range(10)]
    order = drained(filled(greedy, *polite))
    assert sorted(order[:12])[2:] == sorted(f"polite {i}" for i in range(10))


def test_requests_of_one_caller_take_turns():
    long = (Place("interactive", "a", 0), ["long"] * 100)
    short = (Place("interactive", "a", 1), ["short"])
    assert drained(filled(long, short)).index("short") <= 1


def test_turns_are_shares_of_work_and_not_of_sentences():
    wide = (Place("bulk", "wide", 0), [("wide", 8.0)] * 50)
    narrow = (Place("bulk", "narrow", 1), [("narrow", 1.0)] * 400)
    first = Counter(drained(filled(wide, narrow))[:90])
    assert 8 <= first["narrow"] / first["wide"] <= 10


def test_lanes_share_by_weight_and_a_lane_alone_has_all():
    bulk = (Place("bulk", "a", 0), ["bulk"] * 100)
    interactive = (Place("interactive", "b", 1), ["interactive"] * 40)
    order = drained(filled(bulk, interactive))
    first = Counter(order[:50])
    assert first["interactive"] / first["bulk"] == (
        LANE_WEIGHTS["interactive"] / LANE_WEIGHTS["bulk"]
    )
    assert order[50:] == ["bulk"] * 90


def test_whoever_comes_back_has_neither_saved_up_turns_nor_lost_a_debt():
    queue = filled((Place("bulk", "steady", 0), ["steady"] * 30))
    for _ in range(10):
        queue.pop()
    queue.push(Place("bulk", "late", 1), "late", 5.0)
    assert [queue.pop() for _ in range(3)].count("late") == 1
    # The debt of its first turn stands, although it had left: the other has four of its own.
    queue.push(Place("bulk", "late", 2), "late", 5.0)
    assert [queue.pop() for _ in range(3)] == ["steady", "steady", "late"]


def test_what_does_not_fit_keeps_its_turn():
    queue = filled((Place("bulk", "a", 0), [8]), (Place("bulk", "b", 1), [1, 1]))
    assert queue.pop(lambda rows: rows <= 4) is None
    assert drained(queue) == [8, 1, 1]


def test_a_dropped_request_leaves_no_trace():
    queue = filled((Place("bulk", "a", 0), [1, 2]), (Place("bulk", "a", 1), [3]))
    assert queue.drop(Place("bulk", "a", 0)) == [1, 2]
    assert queue.drop(Place("bulk", "a", 0)) == []
    assert queue.drop(Place("interactive", "nobody", 9)) == []
    assert drained(queue) == [3]
    queue.push(Place("bulk", "a", 2), 4, 1.0)
    assert queue.clear() == [4]
    assert len(queue) == 0


@given(st.lists(st.tuples(st.sampled_from(["interactive", "bulk"]), st.integers(0, 3),
                          st.integers(0, 5), st.floats(0.5, 50), st.integers(0, 4))))  # fmt: skip
def test_every_item_comes_out_once_whatever_the_order(actions):
    queue, waiting = FairQueue(), Counter()
    for number, (lane, caller, request, work, action) in enumerate(actions):
        place = Place(lane, str(caller), request)
        if action == 0:
            gone = queue.drop(place)
        elif action == 1:
            item = queue.pop()
            gone = [] if item is None else [item]
            assert (item is None) == (not waiting)
        else:
            queue.push(place, number, work)
            waiting[number] += 1
            gone = []
        waiting -= Counter(gone)
        assert len(queue) == waiting.total()
    assert Counter(drained(queue)) == waiting
