"""What goes wrong while the service runs: told in time, nothing acknowledged is lost."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.errors import StorageFullError, StorageUnavailableError
from app.settings import Settings
from app.storage.database import Database
from app.storage.records import IdempotentRequest, Records
from tests.app.storage.example_records import assert_same, make_record
from tests.flaky_proxy import FlakyProxy
from tests.servers import PostgresServer

pytestmark = pytest.mark.anyio

STORE_UNTIL_KILLED = """
import asyncio, itertools, sys
from pathlib import Path
from app.settings import Settings
from app.storage.database import Database
from app.storage.records import IdempotentRequest, Records
from tests.app.storage.example_records import make_record

async def main():
    records = await Records.open(await Database.open(Settings(data=Path(sys.argv[1]))), 10**6)
    async def store(writer):
        for number in itertools.count():
            key = f"{writer}-{number}"
            record = await records.add("ann", make_record(), IdempotentRequest.of(key, "body"))
            print(key, record.id, flush=True)
    await asyncio.gather(*(store(writer) for writer in range(4)))

asyncio.run(main())
"""


@contextmanager
def write_lock(path):
    """Another program in the middle of writing."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()


async def opened(settings):
    database = await Database.open(settings)
    return database, await Records.open(database, 10**6)


async def test_no_acknowledged_record_is_lost_by_a_kill(tmp_path):
    acknowledged = []
    for delay in (0.05, 0.2, 0.4):
        writer = subprocess.Popen(
            [sys.executable, "-c", STORE_UNTIL_KILLED, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "."},
        )
        first = await asyncio.to_thread(writer.stdout.readline)
        await asyncio.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        rest, _ = writer.communicate()
        lines = (first + rest).decode().splitlines()
        # The line that was being written at the end may be cut off.
        acknowledged += [line.split() for line in lines if len(line.split()[-1]) == 24]
    assert len(acknowledged) > 10
    database, records = await opened(Settings(data=tmp_path))
    for key, record_id in acknowledged:
        assert await records.get("ann", record_id) is not None
        again = await records.replay("ann", IdempotentRequest.of(key, "body"))
        assert again is not None
    await database.close()
    with closing(sqlite3.connect(tmp_path / "softalign.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_full_database_is_told_and_recovers(tmp_path):
    database, records = await opened(Settings(data=tmp_path))
    stored = make_record()
    await records.add("ann", stored)

    async def limit_pages(connection):
        pages = (await connection.execute(text("PRAGMA page_count"))).scalar_one()
        await connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    async def unlimited(connection):
        await connection.execute(text("PRAGMA max_page_count = 4294967294"))

    await database.read(limit_pages)
    with pytest.raises(StorageFullError) as raised:
        await records.add("ann", make_record(result=os.urandom(100_000).hex()))
    assert raised.value.code == "storage_full"
    assert int(raised.value.headers["Retry-After"]) >= 1
    assert_same(await records.get("ann", stored.id), stored)
    await database.read(unlimited)
    large = make_record(result=os.urandom(100_000).hex())
    await records.add("ann", large)
    assert_same(await records.get("ann", large.id), large)
    await database.close()


async def test_a_foreign_write_lock_is_told_in_time_and_the_loop_goes_on(tmp_path):
    settings = Settings(data=tmp_path, database_statement_seconds=0.3, database_pool_seconds=0.2)
    database, records = await opened(settings)
    stored = make_record()
    await records.add("ann", stored)
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    with write_lock(tmp_path / "softalign.db"):
        ticker = asyncio.create_task(tick())
        writes = [asyncio.create_task(records.add("ann", make_record())) for _ in range(4)]
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StorageUnavailableError}
        assert ticks > 5
        assert_same(await records.get("ann", stored.id), stored)
        ticker.cancel()
    again = make_record()
    await records.add("ann", again)
    assert_same(await records.get("ann", again.id), again)
    await database.close()


async def test_a_cancelled_write_leaves_nothing_and_blocks_nobody(tmp_path):
    database, records = await opened(Settings(data=tmp_path))
    abandoned = make_record()
    with write_lock(tmp_path / "softalign.db"):
        task = asyncio.create_task(records.add("ann", abandoned))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await records.add("ann", make_record())
    assert await records.get("ann", abandoned.id) is None
    await database.close()


@pytest.mark.parametrize("turns", range(8))
def test_closing_waits_for_what_was_cancelled_while_it_connected(tmp_path, monkeypatch, turns):
    """The driver's threads tell the event loop what they did, and it must still be there."""
    connect = sqlite3.connect

    def slow_connect(*arguments, **keywords):
        time.sleep(0.05)
        return connect(*arguments, **keywords)

    async def open_cancel_and_close():
        database = await Database.open(Settings(data=tmp_path))
        others = set(threading.enumerate())
        monkeypatch.setattr(sqlite3, "connect", slow_connect)
        reading = asyncio.create_task(database.ping())
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await database.close()
        return [thread for thread in threading.enumerate() if thread not in others]

    left = asyncio.run(open_cancel_and_close())
    assert not [thread for thread in left if "_connection_worker_thread" in thread.name]


@pytest.fixture
async def through_proxy(postgres_url):
    """Settings that reach PostgreSQL through a proxy that can misbehave."""
    url = make_url(postgres_url)
    async with FlakyProxy(url.host, url.port) as proxy:
        proxied = url.set(host="127.0.0.1", port=proxy.port)
        yield (
            proxy,
            Settings(
                database_url=SecretStr(proxied.render_as_string(hide_password=False)),
                database_statement_seconds=0.5,
                database_pool_seconds=0.3,
            ),
        )


@pytest.mark.parametrize("fault", ["silent", "reset", "refused"])
async def test_a_server_that_does_not_answer_is_told_in_time_and_found_again(through_proxy, fault):
    proxy, settings = through_proxy
    database, records = await opened(settings)
    stored = make_record()
    await records.add("ann", stored)
    proxy.fault = fault
    if fault != "silent":
        proxy.reset_all()
    outcomes = await asyncio.gather(
        *(records.get("ann", stored.id) for _ in range(30)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {StorageUnavailableError}
    with pytest.raises(StorageUnavailableError):
        await records.add("ann", make_record())
    proxy.fault = None
    proxy.reset_all()
    deadline = time.monotonic() + 30
    while True:
        try:
            assert_same(await records.get("ann", stored.id), stored)
            break
        except StorageUnavailableError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)
    await database.close()


async def test_a_killed_server_is_told_and_found_again_with_all_that_was_acknowledged():
    if os.environ.get("SOFTALIGN_TEST_POSTGRES_URL"):
        pytest.skip("SOFTALIGN_TEST_POSTGRES_URL names a server that is not ours to kill")
    server = await asyncio.to_thread(PostgresServer, None)
    try:
        url = server.new_database()
        database, records = await opened(Settings(database_url=SecretStr(url)))
        acknowledged = []
        failures = 0

        async def keep_storing(writer):
            nonlocal failures
            for number in range(40):
                record = make_record()
                request = IdempotentRequest.of(f"{writer}-{number}", "body")
                while True:
                    try:
                        stored = await records.add("ann", record, request)
                        break
                    except StorageUnavailableError:
                        failures += 1
                        await asyncio.sleep(0.1)
                acknowledged.append(stored.id)

        writers = [asyncio.create_task(keep_storing(writer)) for writer in range(5)]
        while len(acknowledged) < 20:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
        await asyncio.gather(*writers)
        assert failures > 0
        assert len(acknowledged) == len(set(acknowledged)) == 200
        for record_id in acknowledged:
            assert await records.get("ann", record_id) is not None
        page = await records.page("ann", 1_000, None, {})
        assert {record.id for record in page.records} == set(acknowledged)
        await database.close()
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
async def test_conflicts_that_are_nobodys_fault_are_tried_again(postgres_url, sqlstate):
    database, _ = await opened(Settings(database_url=SecretStr(postgres_url)))
    raise_it = text(f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{sqlstate}'; END $$")
    attempts = 0

    async def succeeds_at_last(connection):
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            await connection.execute(raise_it)
        return "done"

    assert await database.write(succeeds_at_last) == "done"
    attempts = -10
    with pytest.raises(StorageUnavailableError):
        await database.write(succeeds_at_last)
    assert attempts == -7
    await database.close()


async def test_a_statement_that_takes_too_long_is_ended(postgres_url):
    settings = Settings(database_url=SecretStr(postgres_url), database_statement_seconds=0.3)
    database, _ = await opened(settings)

    async def dawdle(connection):
        await connection.execute(text("SELECT pg_sleep(30)"))

    with pytest.raises(StorageUnavailableError):
        await database.read(dawdle)
    await database.ping()
    await database.close()
