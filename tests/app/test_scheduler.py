"""The scheduler around engines that a test steers by hand."""

import asyncio
import gc
import threading
import time
from dataclasses import replace

import pytest
import torch

from app import joining
from app.admission import Backlog
from app.engine import Engine, Job, Outcome
from app.errors import DeadlineError, InferenceError, NotReadyError
from app.pace import Pace
from app.scheduler import Scheduler
from app.settings import Settings
from model.hypothesis import SearchOptions
from model.search_events import SearchRequest

pytestmark = pytest.mark.anyio

SOON = 60.0
POISON = 499
MARK = 1e30
REQUEST = SearchRequest((5, 6, 7, 3), SearchOptions(beam_size=2, n_best=2))


def request_with(*ids):
    return SearchRequest((*ids, 3), SearchOptions(beam_size=1))


class PoisonedModel:
    """A network that fails on every batch with the poisonous token, in `encode` or in `step`."""

    def __init__(self, model, *, in_step):
        self._model = model
        self._in_step = in_step
        self.config, self.spelling = model.config, model.spelling

    def encode(self, source, lengths):
        poisoned = (source == POISON).any(dim=1)
        if poisoned.any() and not self._in_step:
            raise IndexError("poison")
        memory, state = self._model.encode(source, lengths)
        # The mark of a poisoned sentence goes with its state, whatever company it is in.
        return memory, state.masked_fill(poisoned[:, None], MARK)

    def step(self, inputs, state, memory):
        if (state == MARK).any():
            raise RuntimeError("poison")
        return self._model.step(inputs, state, memory)


class GatedModel:
    """A network whose steps wait until the test opens the gate; notes its encodings."""

    def __init__(self, model):
        self._model = model
        self.config, self.spelling = model.config, model.spelling
        self.gate = threading.Event()
        self.stepping = threading.Event()
        self.encodings = []

    @property
    def encoded(self):
        return sum(self.encodings)

    def encode(self, source, lengths):
        self.encodings.append(len(lengths))
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
    scheduler = start(gated, max_rows=2)
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


async def test_whoever_waits_when_the_service_stops_is_told(start, network):
    gated = GatedModel(network)
    scheduler = start(gated, max_rows=2)
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
    scheduler = start(network, max_rows=3)
    requests = [request_with(token) for token in range(10, 30)]
    results = await scheduler.submit("tiny", requests, soon())
    alone = [(await scheduler.submit("tiny", [request], soon()))[0] for request in requests[:3]]
    assert [one[0].tokens for one in results[:3]] == [one[0].tokens for one in alone]
    assert len(results) == 20


async def test_those_who_come_one_by_one_join_the_others_together(start, network, monkeypatch):
    monkeypatch.setattr(joining, "PATIENCE", 1e9)
    monkeypatch.setattr(joining, "LONGEST_GATHERING_SECONDS", SOON)
    gated = GatedModel(network)
    scheduler = start(gated)
    tasks = [asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon()))]
    await asyncio.to_thread(gated.stepping.wait)
    for _ in range(3):
        tasks.append(asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon())))
        await asyncio.sleep(0)
    gated.gate.set()
    assert [len(result) for result in await asyncio.gather(*tasks)] == [1] * 4
    assert gated.encodings == [1, 3]


class CountingModel:
    """A network that counts its steps and may wait at a gate before each."""

    def __init__(self, model):
        self._model = model
        self.config, self.spelling = model.config, model.spelling
        self.rows = []
        self.hook = lambda: None

    def encode(self, source, lengths):
        return self._model.encode(source, lengths)

    def step(self, inputs, state, memory):
        self.rows.append(len(inputs))
        self.hook()
        return self._model.step(inputs, state, memory)


def endless(*ids, steps=300, beam=1, stream=False):
    """A sentence that an untrained network does not end before its limit."""
    options = SearchOptions(beam_size=beam, max_length=steps)
    return SearchRequest((*ids, 3), options, stream=stream)


async def test_a_cancelled_request_frees_its_rows_within_one_step(start, network):
    counting = CountingModel(network)
    stepping, go_on = threading.Event(), threading.Event()

    def wait_at_the_third_step():
        if len(counting.rows) == 3:
            stepping.set()
            assert go_on.wait(timeout=SOON)

    counting.hook = wait_at_the_third_step
    scheduler = start(counting)
    left = asyncio.create_task(scheduler.submit("tiny", [endless(9, 10)], soon()))
    await asyncio.to_thread(stepping.wait)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    steps = len(counting.rows)
    go_on.set()
    await scheduler.submit("tiny", [SearchRequest((5, 3), SearchOptions(max_length=1))], soon())
    # What was under way, and the one step of the sentence that came afterwards.
    assert len(counting.rows) == steps + 1


async def test_the_worker_drops_a_sentence_at_its_deadline(start, network):
    counting = CountingModel(network)
    scheduler = start(counting)
    deadline = time.monotonic() + 0.2
    counting.hook = lambda: time.sleep(0.01)
    with pytest.raises(DeadlineError):
        await scheduler.submit("tiny", [endless(9, 10, steps=600)], deadline)
    counting.hook = lambda: None
    steps = len(counting.rows)
    await scheduler.submit("tiny", [SearchRequest((5, 3), SearchOptions(max_length=1))], soon())
    assert len(counting.rows) <= steps + 2


async def test_ten_polite_callers_do_not_wait_for_two_hundred_sentences_of_another(start, network):
    gated = GatedModel(network)
    scheduler = start(gated, max_rows=8)
    order = []

    async def ask(caller, requests):
        def observe(_index, step):
            if step.is_last:
                order.append(caller)

        await scheduler.submit("tiny", requests, soon(), caller=caller, on_step=observe)

    short = SearchRequest((5, 6, 3), SearchOptions(beam_size=1, max_length=3))
    greedy = asyncio.create_task(ask("greedy", [short] * 200))
    await asyncio.to_thread(gated.stepping.wait)
    polite = [asyncio.create_task(ask(f"polite {i}", [short])) for i in range(10)]
    await asyncio.sleep(0)
    gated.gate.set()
    await asyncio.gather(*polite)
    # Eight were in already; then the eleven callers take turns for the eight places.
    assert order.count("greedy") <= 8 + 8 + 8
    await greedy
    assert order.count("greedy") == 200


async def test_sentences_that_join_late_are_translated_as_if_alone(start, network):
    counting = CountingModel(network)
    scheduler = start(counting)
    requests = [
        SearchRequest((*range(20 + i, 24 + 2 * i), 3), SearchOptions(beam_size=1 + i % 4, n_best=1))
        for i in range(12)
    ]
    alone = [(await scheduler.submit("tiny", [request], soon()))[0] for request in requests]
    counting.hook = lambda: time.sleep(0.002)
    counting.rows.clear()
    tasks = []
    for request in requests:
        tasks.append(asyncio.create_task(scheduler.submit("tiny", [request], soon())))
        await asyncio.sleep(0.01)
    for [hypothesis], [[other]] in zip(alone, await asyncio.gather(*tasks), strict=True):
        assert other.tokens == hypothesis.tokens
        assert torch.allclose(other.weights, hypothesis.weights, atol=1e-5)
    assert max(counting.rows) > 4, "nothing was decoded side by side"


async def test_a_streamed_sentence_tells_every_step_and_ends_as_a_plain_one(start, network):
    scheduler = start(network)
    plain = SearchRequest((5, 6, 7, 3), SearchOptions(beam_size=3))
    [[expected]] = await scheduler.submit("tiny", [plain], soon())
    steps = []

    def observe(index, step):
        steps.append((index, step))

    streamed = replace(plain, stream=True)
    [[found]] = await scheduler.submit("tiny", [streamed], soon(), on_step=observe)
    assert found.tokens == expected.tokens
    assert torch.equal(found.weights, expected.weights)
    assert [index for index, _ in steps] == [0] * len(steps)
    for _, step in steps:
        assert step.best.tokens[: step.stable] == found.tokens[: step.stable]
    assert [step.is_last for _, step in steps] == [False] * (len(steps) - 1) + [True]
    assert steps[-1][1].stable == len(found.tokens)


async def test_a_poisoned_sentence_does_not_touch_a_stream_beside_it(start, network):
    gated = GatedModel(PoisonedModel(network, in_step=True))
    scheduler = start(gated)
    plain = endless(5, 6, steps=12, stream=True)
    lengths = []

    def observe(_index, step):
        lengths.append(len(step.best.tokens))

    stream = asyncio.create_task(scheduler.submit("tiny", [plain], soon(), on_step=observe))
    await asyncio.to_thread(gated.stepping.wait)
    bad = asyncio.create_task(scheduler.submit("tiny", [request_with(POISON)], soon()))
    await asyncio.sleep(0)
    gated.gate.set()
    with pytest.raises(InferenceError):
        await bad
    [[hypothesis]] = await stream
    # Each step once, in order: nothing was begun anew.
    assert lengths[:-1] == list(range(1, len(lengths)))
    assert lengths[-1] == len(hypothesis.tokens)


async def test_a_step_that_fails_for_everybody_fails_those_and_the_next_is_served(start, network):
    counting = CountingModel(network)
    broken = True

    def fail():
        if broken:
            raise MemoryError

    counting.hook = fail
    scheduler = start(counting)
    tasks = [
        asyncio.create_task(scheduler.submit("tiny", [request_with(10 + i)], soon()))
        for i in range(100)
    ]
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [InferenceError] * 100
    broken = False
    assert len(await scheduler.submit("tiny", [REQUEST], soon())) == 1


async def test_a_step_whose_cause_cannot_be_found_fails_its_sentences(start, network, monkeypatch):
    scheduler = start(network)
    monkeypatch.setattr("model.search.BeamSearch.step", broken_step)
    with pytest.raises(InferenceError):
        await scheduler.submit("tiny", [REQUEST, REQUEST], soon())
    monkeypatch.undo()
    assert len(await scheduler.submit("tiny", [REQUEST], soon())) == 1


def broken_step(_search):
    raise RuntimeError("a fault of ours")


async def test_lengths_of_translations_are_learned(network):
    pace = Pace()
    scheduler = Scheduler({"tiny": Engine(network)}, Settings(), pace=pace)
    scheduler.start()
    guessed = pace.seconds(1.0)
    long = SearchRequest((9, 3), SearchOptions(beam_size=1, max_length=24))
    found = await scheduler.submit("tiny", [long] * 60, soon())
    assert len(found[0][0].tokens) > 2  # the network, which has learned nothing, does not end
    assert pace.seconds(1.0) > 1.5 * guessed
    await scheduler.stop()


async def test_nothing_of_a_sentence_is_kept_that_could_not_be_encoded(start, network, monkeypatch):
    monkeypatch.setattr(Engine, "admit", fail_all)
    scheduler = start(network)
    with pytest.raises(InferenceError):
        await scheduler.submit("tiny", [request_with(POISON)], soon())
    await scheduler.stop()
    gc.collect()
    kept = [one for one in gc.get_objects() if type(one) is Job]
    assert not [job for job in kept if POISON in job.request.source]


def fail_all(_engine, jobs):
    return [Outcome(job, InferenceError()) for job in jobs]


async def test_the_backlog_is_empty_when_nobody_waits(network):
    backlog = Backlog()
    gated = GatedModel(network)
    scheduler = Scheduler({"tiny": Engine(gated)}, Settings(max_rows=2), backlog=backlog)
    scheduler.start()
    tasks = [asyncio.create_task(scheduler.submit("tiny", [REQUEST], soon())) for _ in range(5)]
    await asyncio.to_thread(gated.stepping.wait)
    assert backlog.ahead("interactive", "", 0.0) > 0
    tasks[3].cancel()
    gated.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert backlog.ahead("interactive", "", 1.0) == 0
    await scheduler.stop()
