"""What is stored comes back to its owner, and to nobody else, on both back ends."""

import asyncio
import contextlib
import inspect

import numpy as np
import pytest
from sqlalchemy import func, select, text

from app.errors import ConflictError, InvalidInputError, StorageUnavailableError
from app.settings import Settings
from app.storage.clock import SECOND, utc_microseconds
from app.storage.database import Database
from app.storage.purge import purge_expired
from app.storage.record import RecordTooLargeError, new_record_id
from app.storage.records import IdempotentRequest, Records
from app.storage.tables import idempotency_keys
from app.storage.tables import records as records_table
from tests.app.storage.example_records import assert_same, make_record
from tests.unicode_texts import NASTY_TEXTS

pytestmark = pytest.mark.anyio


def idempotent(key="key", body="body"):
    return IdempotentRequest.of(key, body)


async def count(database, table=records_table):
    async def count_rows(connection):
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()

    return await database.read(count_rows)


async def all_ids(records, owner, limit, **filters):
    found, cursor = [], None
    while True:
        page = await records.page(owner, limit, cursor, filters)
        found += [record.id for record in page.records]
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_no_method_is_without_an_owner():
    methods = {
        name: list(inspect.signature(method).parameters)
        for name, method in inspect.getmembers(Records, inspect.isfunction)
        if not name.startswith("_")
    }
    assert set(methods) == {"add", "replay", "get", "page", "delete", "erase"}
    assert {name: names[1] for name, names in methods.items()} == dict.fromkeys(methods, "owner")


def test_ids_have_144_random_bits_and_are_safe_in_an_address():
    ids = {new_record_id() for _ in range(1_000)}
    assert len(ids) == 1_000
    assert all(len(one) == 24 and one.replace("-", "").replace("_", "").isalnum() for one in ids)


async def test_a_record_comes_back_as_it_was_stored(records):
    record = make_record()
    assert await records.add("ann", record) is record
    assert_same(await records.get("ann", record.id), record)


async def test_nasty_texts_and_a_large_matrix_come_back_bit_by_bit(records):
    weights = np.random.default_rng(3).random((800, 650)).astype(np.float16)
    weights[0, :4] = [np.nan, np.inf, -0.0, 6e-8]
    texts = (*NASTY_TEXTS, "a\0b", "half \ud83d of a pair", "\uffff", "x" * 10_000)
    record = make_record(
        sources=texts,
        result="\0 « ﬁn » 😀",
        request={"text": "a\0b"},
        layout={"\0": ["\ud800"]},
        matrices=(weights, weights[:0], weights[:, :0]),
    )
    await records.add("ann", record)
    assert_same(await records.get("ann", record.id), record)


async def test_foreign_expired_and_unknown_records_look_the_same(records):
    now = utc_microseconds()
    mine = make_record()
    expired = make_record(created_at=now - 10 * SECOND, expires_at=now)
    await records.add("ann", mine)
    await records.add("bob", expired)
    for record_id in (mine.id, expired.id, new_record_id(), "", "x" * 500, "'; --", "\0", "é" * 24):
        assert await records.get("bob", record_id) is None
        assert await records.delete("bob", record_id) is False
    assert await all_ids(records, "bob", 10) == []
    assert_same(await records.get("ann", mine.id), mine)


async def test_a_deleted_record_is_gone(records, database):
    record = make_record()
    await records.add("ann", record, idempotent())
    assert await records.delete("ann", record.id) is True
    assert await records.get("ann", record.id) is None
    assert await records.delete("ann", record.id) is False
    assert await count(database) == await count(database, idempotency_keys) == 0


async def test_erasing_takes_everything_of_one_owner(records, database):
    for _ in range(3):
        await records.add("ann", make_record())
    kept = make_record()
    await records.add("bob", kept)
    assert await records.erase("ann") == 3
    assert await all_ids(records, "ann", 10) == []
    assert await all_ids(records, "bob", 10) == [kept.id]
    assert await count(database) == 1


async def test_a_record_above_the_limit_leaves_nothing_behind(database):
    records = await Records.open(database, max_record_bytes=2_000)
    noise = np.random.default_rng(1).random((40, 40)).astype(np.float16)
    with pytest.raises(RecordTooLargeError) as raised:
        await records.add("ann", make_record(matrices=(noise,)), idempotent())
    assert raised.value.code == "record_too_large"
    assert await count(database) == await count(database, idempotency_keys) == 0


async def test_the_list_is_newest_first_and_says_what_was_asked(records):
    now = utc_microseconds()
    old = make_record(created_at=now - 2 * SECOND, sources=("é" * 100, "two"))
    new = make_record(created_at=now - SECOND)
    for record in (new, old):
        await records.add("ann", record)
    page = await records.page("ann", 10, None, {})
    assert [record.id for record in page.records] == [new.id, old.id]
    assert (page.records[1].texts, page.records[1].preview) == (2, "é" * 80)
    assert page.next_cursor is None


async def test_pages_keep_to_their_filter(records):
    german = make_record(target_lang="de")
    for record in (make_record(), german, make_record()):
        await records.add("ann", record)
    assert await all_ids(records, "ann", 1, source_lang="en", target_lang="de") == [german.id]
    page = await records.page("ann", 1, None, {})
    with pytest.raises(InvalidInputError, match="cursor"):
        await records.page("ann", 1, page.next_cursor, {"target_lang": "de"})
    with pytest.raises(InvalidInputError, match="cursor"):
        await records.page("bob", 1, page.next_cursor, {})


async def test_no_row_is_skipped_or_repeated_while_others_write(records):
    now = utc_microseconds()
    there = [make_record(created_at=now - number // 3) for number in range(60)]
    for record in there:
        await records.add("ann", record)

    async def keep_writing():
        for _ in range(12):
            await records.add("ann", make_record())

    writers = [asyncio.create_task(keep_writing()) for _ in range(5)]
    listed = await all_ids(records, "ann", 7)
    await asyncio.gather(*writers)
    assert len(listed) == len(set(listed))
    assert {record.id for record in there} <= set(listed)


async def test_the_same_key_gives_the_same_record(records, database):
    first, second = make_record(), make_record()
    await records.add("ann", first, idempotent())
    assert_same(await records.replay("ann", idempotent()), first)
    assert_same(await records.add("ann", second, idempotent()), first)
    assert await count(database) == 1


async def test_a_key_with_another_body_is_a_conflict(records, database):
    await records.add("ann", make_record(), idempotent())
    with pytest.raises(ConflictError):
        await records.replay("ann", idempotent(body="other"))
    with pytest.raises(ConflictError):
        await records.add("ann", make_record(), idempotent(body="other"))
    assert await count(database) == 1


async def test_keys_of_others_are_not_seen(records):
    await records.add("ann", make_record(), idempotent())
    assert await records.replay("bob", idempotent(body="other")) is None
    assert await records.replay("ann", idempotent(key="other")) is None
    await records.add("bob", make_record(), idempotent(body="other"))


@pytest.mark.parametrize("record_seconds", [10, 200_000])
async def test_a_key_is_free_again_after_a_day_or_with_its_record(database, record_seconds):
    time = [utc_microseconds()]
    records = await Records.open(database, 10**6, clock=lambda: time[0])

    def record():
        return make_record(created_at=time[0], expires_at=time[0] + record_seconds * SECOND)

    await records.add("ann", record(), idempotent())
    time[0] += (min(record_seconds, 86_400) - 1) * SECOND
    assert await records.replay("ann", idempotent()) is not None
    time[0] += SECOND
    assert await records.replay("ann", idempotent(body="other")) is None
    second = record()
    assert await records.add("ann", second, idempotent(body="other")) is second
    assert_same(await records.replay("ann", idempotent(body="other")), second)


async def test_concurrent_duplicates_become_one_row(records, database):
    for number in range(15):
        request = idempotent(key=f"key {number}")
        given = await asyncio.gather(
            *(records.add("ann", make_record(), request) for _ in range(6))
        )
        assert len({record.id for record in given}) == 1
    assert await count(database) == await count(database, idempotency_keys) == 15


async def test_a_record_that_is_deleted_while_another_meets_its_key_makes_room(
    records, database, monkeypatch
):
    first, second = make_record(), make_record()
    await records.add("ann", first, idempotent())
    look = records.replay

    async def look_too_late(owner, request):
        await records.delete("ann", first.id)
        return await look(owner, request)

    monkeypatch.setattr(records, "replay", look_too_late)
    assert await records.add("ann", second, idempotent()) is second
    assert await count(database) == await count(database, idempotency_keys) == 1


async def test_a_record_that_expires_while_another_meets_its_key_makes_room(database):
    now = utc_microseconds()
    times = iter([now, now, now + 2 * SECOND])
    records = await Records.open(database, 10**6, clock=lambda: next(times, now + 2 * SECOND))
    await records.add("ann", make_record(expires_at=now + SECOND), idempotent())
    second = make_record(expires_at=now + 9 * SECOND)
    assert await records.add("ann", second, idempotent()) is second
    assert (await records.replay("ann", idempotent())).id == second.id


async def test_a_key_that_is_taken_and_left_again_and_again_is_told(records, monkeypatch):
    await records.add("ann", make_record(), idempotent())

    async def nobody(_owner, _request):
        return None

    monkeypatch.setattr(records, "replay", nobody)
    with pytest.raises(StorageUnavailableError):
        await records.add("ann", make_record(), idempotent())


async def test_keys_survive_callers_who_delete_and_repeat_at_once(records):
    async def caller():
        for number in range(10):
            with contextlib.suppress(StorageUnavailableError):  # all others may be quicker
                stored = await records.add("ann", make_record(), idempotent(key=str(number % 2)))
                await records.delete("ann", stored.id)

    await asyncio.gather(*(caller() for _ in range(6)))
    assert await all_ids(records, "ann", 10) == []


async def test_expired_rows_are_purged_in_batches_and_live_ones_stay(
    records, database, monkeypatch
):
    monkeypatch.setattr("app.storage.purge.PURGE_BATCH", 10)
    now = utc_microseconds()
    past = {"created_at": now - 20 * SECOND, "expires_at": now - SECOND}
    for number in range(25):
        await records.add("ann", make_record(**past), idempotent(key=str(number)))
    live = make_record()
    await records.add("ann", live, idempotent(key="live"))
    assert await all_ids(records, "ann", 100) == [live.id]
    assert await purge_expired(database, now) == 25
    assert await count(database) == await count(database, idempotency_keys) == 1
    assert await records.get("ann", live.id) is not None


async def test_keys_that_expired_before_their_records_are_purged_in_batches_too(
    records, database, monkeypatch
):
    monkeypatch.setattr("app.storage.purge.PURGE_BATCH", 10)
    day_ago = utc_microseconds() - 25 * 3_600 * SECOND
    for number in range(25):
        await records.add("ann", make_record(created_at=day_ago), idempotent(key=str(number)))
    assert await purge_expired(database, utc_microseconds()) == 0
    assert (await count(database), await count(database, idempotency_keys)) == (25, 0)


async def test_a_commit_waits_for_the_disk_unless_it_only_tidies(tmp_path):
    database = await Database.open(Settings(data=tmp_path))

    async def synchronous(connection):
        return (await connection.execute(text("PRAGMA synchronous"))).scalar_one()

    for _ in range(2):
        assert await database.tidy(synchronous) == 1  # NORMAL
        assert await database.write(synchronous) == 2  # FULL
    await database.close()


async def test_a_burst_of_reads_opens_no_more_connections_than_are_kept(tmp_path):
    database = await Database.open(Settings(data=tmp_path, database_pool_size=2))
    at_once = most = 0
    another = asyncio.Barrier(2)  # each waits for one beside it: two can be open at once

    async def read(connection):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await connection.execute(text("SELECT count(*) FROM records"))
        await another.wait()
        at_once -= 1

    async with asyncio.timeout(30):
        await asyncio.gather(*(database.read(read) for _ in range(20)))
    assert most == 2
    await database.close()


async def test_two_replicas_see_each_others_records_at_once(storage_settings, records):
    other = await Database.open(storage_settings)
    try:
        elsewhere = await Records.open(other, 10**6)
        record = make_record()
        await records.add("ann", record)
        assert_same(await elsewhere.get("ann", record.id), record)
        await elsewhere.add("ann", make_record())
        page = await records.page("ann", 1, None, {})
        [second] = (await elsewhere.page("ann", 1, page.next_cursor, {})).records
        assert second.id == record.id
    finally:
        await other.close()
