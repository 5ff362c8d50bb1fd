"""The scheduler around engines that a test steers by hand."""

import asyncio
import threading
import time

import pytest

from app.engine import Engine
from app.errors import DeadlineError, InferenceError, NotReadyError, OverloadedError
from app.scheduler import Scheduler
from app.settings import Settings
from model.hypothesis import SearchOptions
from model.search import SearchRequest

pytestmark = pytest.mark.anyio

SOON = 60.0
POISON = 499
REQUEST = SearchRequest((5, 6, 7, 3), SearchOptions(beam_size=2, n_best=2))


def request_with(*ids):
    return SearchRequest((*ids, 3), SearchOptions(beam_size=1))


class PoisonedModel:
    """A network that fails on every batch with the poisonous token, in `encode` or in `step`."""

    def __init__(self, model, *, in_step):
        self._model = model
        self._in_step = in_step
        self.config = model.config

    def encode(self, source, lengths):
        self.poisoned = bool((source == POISON).any())
        if self.poisoned and not self._in_step:
            raise IndexError("poison")
        return self._model.encode(source, lengths)

    def step(self, inputs, state, memory):
        if self.poisoned:
            raise RuntimeError("poison")
        return self._model.step(inputs, state, memory)


class GatedModel:
    """A network whose steps wait until the test opens the gate; counts encoded sentences."""

    def __init__(self, model):
        self._model = model
        self.config = model.config
        self.gate = threading.Event()
        self.stepping = threading.Event()
        self.encoded = 0

    def encode(self, source, lengths):
        self.encoded += len(lengths)
        return self._model.encode(source, lengths)

    def step(self, inputs, state, memory):
        self.stepping.set()
        assert self.gate.wait(timeout=SOON)
        return self._model.step(inputs, state, memory)


@pytest.fixture
def network(tiny_models):
    [model] = tiny_models
    return model.checkpoint.model


@pytest.fixture
async def start():
    """Start a scheduler around a network; it is stopped at the end of the test."""
    started = []

    def start_scheduler(network, **limits):
        scheduler = Scheduler({"tiny": Engine(network)}, Settings(**limits))
        scheduler.start()
        started.append(scheduler)
        return scheduler

    yield start_scheduler
    for scheduler in started:
        await scheduler.stop()


def soon():
    return time.monotonic() + SOON


async def test_each_sentence_gets_its_own_n_best_list_in_order(start, network):
    scheduler = start(network)
    first, second = await scheduler.submit("tiny", [REQUEST, request_with(9)], soon())
    assert len(first) == 2
    assert len(second) == 1
    [again] = await scheduler.submit("tiny", [request_with(9)], soon())
    assert again[0].tokens == second[0].tokens


async def test_nothing_to_translate_is_done_at_once(start, network):
    assert await start(network).submit("tiny", [], soon()) == []


@pytest.mark.parametrize("in_step", [False, True])
async def test_a_poisoned_sentence_fails_alone(start, network, in_step):
    scheduler = start(PoisonedModel(network, in_step=in_step))
    healthy = [
        asyncio.create_task(scheduler.submit("tiny", [request_with(token)], soon()))
        for token in range(10, 16)
    ]
    with pytest.raises(InferenceError):
        await scheduler.submit("tiny", [request_with(POISON)], soon())
    assert all(len(result) == 1 for result in await asyncio.gather(*healthy))
    assert scheduler.is_working


async def test_a_sentence_past_its_deadline_is_never_encoded(start, network):
    gated = GatedModel(network)
    scheduler = start(gated, max_active_sentences=1)
    running = asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon()))
    await asyncio.to_thread(gated.stepping.wait)
    with pytest.raises(DeadlineError):
        await scheduler.submit("tiny", [REQUEST], time.monotonic() - 1)
    gated.gate.set()
    assert len(await running) == 1
    assert len(await scheduler.submit("tiny", [REQUEST], soon())) == 1
    assert gated.encoded == 2


async def test_a_cancelled_sentence_leaves_the_table(start, network):
    gated = GatedModel(network)
    scheduler = start(gated)
    left = asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon()))
    await asyncio.to_thread(gated.stepping.wait)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    gated.gate.set()
    assert len(await scheduler.submit("tiny", [REQUEST], soon())) == 1


async def test_places_are_reserved_before_any_work_and_given_back(start, network):
    scheduler = start(network, max_pending_requests=2, max_pending_characters=100)
    with scheduler.reserve(10):
        with scheduler.reserve(10), pytest.raises(OverloadedError), scheduler.reserve(1):
            pass
        with pytest.raises(OverloadedError), scheduler.reserve(91):
            pass
        with scheduler.reserve(90):
            pass


async def test_an_idle_service_takes_a_request_of_any_size(start, network):
    with start(network, max_pending_characters=10).reserve(1_000):
        pass


async def test_whoever_waits_when_the_service_stops_is_told(start, network):
    gated = GatedModel(network)
    scheduler = start(gated, max_active_sentences=1)
    waiting = [asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon())) for _ in range(3)]
    await asyncio.to_thread(gated.stepping.wait)
    stopping = asyncio.create_task(scheduler.stop())
    await asyncio.sleep(0)
    gated.gate.set()
    await stopping
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, NotReadyError) for result in results)
    with pytest.raises(NotReadyError):
        await scheduler.submit("tiny", [REQUEST], soon())


async def test_more_sentences_than_places_are_all_answered(start, network):
    scheduler = start(network, max_active_sentences=3)
    requests = [request_with(token) for token in range(10, 30)]
    results = await scheduler.submit("tiny", requests, soon())
    alone = [(await scheduler.submit("tiny", [request], soon()))[0] for request in requests[:3]]
    assert [one[0].tokens for one in results[:3]] == [one[0].tokens for one in alone]
    assert len(results) == 20
