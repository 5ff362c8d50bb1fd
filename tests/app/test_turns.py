"""Where the work of a request is done."""

import threading

import pytest

from app.turns import take_turn

pytestmark = pytest.mark.anyio


async def test_short_work_is_done_where_it_is_asked_for():
    assert await take_turn(threading.get_ident, is_short=True) == threading.get_ident()


async def test_long_work_is_done_beside_the_event_loop():
    assert await take_turn(threading.get_ident, is_short=False) != threading.get_ident()


@pytest.mark.parametrize("is_short", [True, False])
async def test_what_goes_wrong_in_the_work_is_told(is_short):
    with pytest.raises(ZeroDivisionError):
        await take_turn(lambda: 1 // 0, is_short=is_short)
