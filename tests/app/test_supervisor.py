"""The supervisor around workers that a test lets get stuck or die."""

import asyncio
import threading
import time

import pytest

from app.errors import ModelUnavailableError
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.settings import Settings
from app.supervisor import MAX_FAILURES, Supervisor
from model.hypothesis import SearchOptions
from model.search_events import SearchRequest

pytestmark = pytest.mark.anyio

REQUEST = SearchRequest((5, 6, 3), SearchOptions(beam_size=1, max_length=4))
LONG = 60.0


class StickingModel:
    """A network whose steps wait for ever while `stuck` is set, or end the thread."""

    def __init__(self, model):
        self._model = model
        self.config, self.spelling = model.config, model.spelling
        self.stuck = False
        self.deadly = False
        self.release = threading.Event()
        self.stepping = threading.Event()

    def encode(self, source, lengths):
        return self._model.encode(source, lengths)

    def step(self, inputs, state, memory):
        if self.deadly:
            raise SystemExit
        if self.stuck:
            self.stepping.set()
            assert self.release.wait(timeout=LONG)
        return self._model.step(inputs, state, memory)


@pytest.fixture
def network(tiny_models):
    [model] = tiny_models
    sticking = StickingModel(model.checkpoint.model)
    yield sticking
    sticking.release.set()


@pytest.fixture
async def supervisor(network):
    supervisor = Supervisor({"tiny": network}, Settings(stall_seconds=0.2), Metrics(), Lifecycle())
    supervisor.start()
    yield supervisor
    network.release.set()
    await supervisor.stop()


def submit(supervisor):
    return supervisor.scheduler.submit("tiny", [REQUEST], time.monotonic() + LONG)


async def eventually(condition):
    async with asyncio.timeout(LONG):
        while not condition():
            await asyncio.sleep(0.01)


def replacements(supervisor, reason):
    sample = "softalign_worker_replacements_total"
    return supervisor._metrics.registry.get_sample_value(sample, {"reason": reason})


async def test_whoever_waits_for_a_stuck_worker_is_answered_and_the_next_is_served(
    supervisor, network
):
    [before] = await submit(supervisor)
    network.stuck = True
    with pytest.raises(ModelUnavailableError):
        await submit(supervisor)
    network.stuck = False
    await eventually(lambda: supervisor.is_working)
    [after] = await submit(supervisor)
    assert after[0].tokens == before[0].tokens
    assert replacements(supervisor, "stuck") == 1


async def test_a_stuck_worker_ends_when_it_comes_back_and_answers_nobody(supervisor, network):
    network.stuck = True
    stuck = supervisor.scheduler
    with pytest.raises(ModelUnavailableError):
        await submit(supervisor)
    assert stuck.is_working
    network.release.set()
    await eventually(lambda: not stuck.is_working)


async def test_whoever_waits_behind_a_stuck_step_is_answered_too(supervisor, network):
    network.stuck = True
    waiting = [asyncio.create_task(submit(supervisor)) for _ in range(5)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ModelUnavailableError] * 5


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_dead_worker_is_replaced(supervisor, network):
    dead = supervisor.scheduler
    network.deadly = True
    with pytest.raises(ModelUnavailableError):
        await submit(supervisor)
    with pytest.raises(ModelUnavailableError):  # before anybody has noticed, too
        await dead.submit("tiny", [REQUEST], time.monotonic() + LONG)
    network.deadly = False
    await eventually(lambda: supervisor.scheduler is not dead)
    assert len(await submit(supervisor)) == 1
    assert replacements(supervisor, "dead") == 1


async def test_after_too_many_failures_the_process_is_asked_to_end(supervisor, network):
    network.stuck = True
    lifecycle = supervisor._lifecycle
    failures = 0
    while lifecycle.failure is None:
        try:
            await submit(supervisor)
        except ModelUnavailableError:
            failures += 1
        assert failures <= MAX_FAILURES
    assert f"{MAX_FAILURES} times" in await lifecycle.failed()
    assert not supervisor.is_working


async def test_where_a_worker_cannot_be_replaced_the_process_is_asked_to_end(
    supervisor, network, monkeypatch
):
    monkeypatch.setattr(supervisor, "_new_scheduler", lambda: 1 / 0)
    network.stuck = True
    with pytest.raises(ModelUnavailableError):
        await submit(supervisor)
    async with asyncio.timeout(LONG):
        assert "ZeroDivisionError" in await supervisor._lifecycle.failed()


async def test_a_slow_but_moving_worker_is_left_alone(supervisor, network, monkeypatch):
    quick = network._model.step

    def slow(*arguments):
        time.sleep(0.1)
        return quick(*arguments)

    monkeypatch.setattr(network, "step", slow)
    assert len(await submit(supervisor)) == 1
    assert replacements(supervisor, "stuck") is None


async def test_an_idle_worker_is_not_stuck(supervisor):
    assert len(await submit(supervisor)) == 1
    await asyncio.sleep(0.5)
    assert supervisor.is_working
    assert replacements(supervisor, "stuck") is None
