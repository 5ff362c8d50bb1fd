"""F: what PostgreSQL does to those who did nothing wrong, and what it has to say to a start."""

import asyncio
import json
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import numpy as np
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.settings import Settings
from app.storage.database import Database
from app.storage.records import Records
from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import UnableError, case, require
from benchmarks.abuse.process import SECRET, start_refused
from benchmarks.abuse.servers import postgres
from benchmarks.abuse.service import Service
from tests.app.storage.example_records import assert_same, make_record
from tests.servers import PostgresServer, free_port
from tests.unicode_texts import NASTY_TEXTS

KEYS = 1_000
CALLERS = 8
END_EVERY_SECONDS = 0.2
TEXTS = 500
LARGEST_CELLS = 2**19
"""Of a matrix in half precision: a mebibyte."""

UNLUCKY = """
CREATE FUNCTION unlucky() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.15 THEN RAISE EXCEPTION 'as told' USING ERRCODE = '40001'; END IF;
    IF random() < 0.15 THEN RAISE EXCEPTION 'as told' USING ERRCODE = '40P01'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER at_insert BEFORE INSERT ON records FOR EACH ROW EXECUTE FUNCTION unlucky();
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON records DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION unlucky();
"""
"""Makes half of the transactions that store something fail, some of them not before the commit."""

END_ALL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'softalign' AND datname = current_database()
"""


@case(
    "F7",
    "40001 and 40P01 in half of all transactions, 57P01 five times a second",
    "200 or 503; 1,000 keys, 1,000 records",
)
async def conflicts(bench: Bench) -> str:
    async with postgres() as server:
        url = await asyncio.to_thread(server.new_database)
        async with bench.service(database_url=url, max_caller_share=1) as service:
            connection = await asyncpg.connect(url)
            already = await connection.fetchval("SELECT count(*) FROM records")
            await connection.execute(UNLUCKY)
            ending = asyncio.create_task(_end_connections(url))
            names = iter([f"key-{number}" for number in range(KEYS)])
            given: dict[str, str] = {}
            statuses: Counter[int] = Counter()
            await asyncio.gather(*(_store(service, names, given, statuses) for _ in range(CALLERS)))
            ending.cancel()
            stored = await connection.fetchval("SELECT count(*) FROM records") - already
            kept = await connection.fetch("SELECT record_id FROM idempotency_keys")
            await connection.close()
    same = {row["record_id"] for row in kept} == set(given.values())
    figure = f"{dict(statuses)}, {KEYS} keys, {len(kept)} kept, {stored} records, the same: {same}"
    require(set(statuses) == {200, 503} and same and len(kept) == stored == KEYS, figure)
    return figure


async def _end_connections(url: str) -> None:
    connection = await asyncpg.connect(url)
    while True:
        await connection.execute(END_ALL)
        await asyncio.sleep(END_EVERY_SECONDS)


async def _store(
    service: Service, names: Iterator[str], given: dict[str, str], statuses: Counter[int]
) -> None:
    for name in names:
        while name not in given:
            headers = {"Idempotency-Key": name}
            body = {"text": "Yes.", "decoding": {"beam_size": 1}}
            reply = await service.http.post("/v1/translate", json=body, headers=headers)
            statuses[reply.status_code] += 1
            if reply.status_code == httpx.codes.OK:
                given[name] = reply.json()["id"]
            else:
                await asyncio.sleep(0.02)


@case("F10", "500 strange texts and a matrix of 1 MiB in both databases", "equal, bit by bit")
async def both_databases(bench: Bench) -> str:
    draw = random.Random(10)
    texts = [*NASTY_TEXTS, *(_strange(draw) for _ in range(TEXTS - len(NASTY_TEXTS)))]
    bits = np.random.default_rng(10).integers(0, 2**16, LARGEST_CELLS, dtype=np.uint16)
    large = bits.view(np.float16).reshape(512, -1)  # every NaN and subnormal there is
    stored = [make_record(sources=(text,), result=json.dumps({"text": text})) for text in texts]
    stored.append(make_record(matrices=(large,)))
    async with postgres() as server:
        url = await asyncio.to_thread(server.new_database)
        data = bench.new_folder()
        for settings in (Settings(data=data), Settings(database_url=SecretStr(url))):
            database = await Database.open(settings)
            records = await Records.open(database, 4 * 2**20)
            for record in stored:
                await records.add("owner", record)
            for record in stored:
                found = await records.get("owner", record.id)
                require(found is not None, "a record is missing")
                assert found is not None
                assert_same(found, record)
            await database.close()
    return f"{len(texts)} texts and {large.nbytes} bytes of weights come back the same from both"


def _strange(draw: random.Random) -> str:
    """Characters of all planes, U+0000 among them; halves of surrogate pairs are in no text."""
    planes = (0x80, 0x800, 0xD800, 0x11_0000)
    drawn = (draw.randrange(draw.choice(planes)) for _ in range(draw.randrange(1, 200)))
    return "".join(chr(one) for one in drawn if not 0xD800 <= one < 0xE000)


@case(
    "F15",
    "PostgreSQL: wrong password, no such database, away, no such host, expired certificate",
    "exit ≠ 0, host:port/database named, no password",
)
async def wrong_logins(bench: Bench) -> str:
    if shutil.which("openssl") is None:
        raise UnableError("openssl is not installed")
    async with postgres() as server:
        good = await asyncio.to_thread(server.new_database)
        certificate = await _serve_expired(server, good)
        url = make_url(good)
        wrong = {
            "a wrong password": url.set(password=SECRET),
            "no such database": url.set(database="missing"),
            "away": url.set(port=free_port()),
            "no such host": url.set(host="nowhere.invalid"),
            "an expired certificate": url.set(query={"ssl": "verify-ca"}),
        }
        said = []
        for what, one in wrong.items():
            address = one.render_as_string(hide_password=False)
            variables = {"SOFTALIGN_DATABASE_URL": address, "PGSSLROOTCERT": str(certificate)}
            named = f"{one.host}:{one.port}/{one.database}"
            seconds = await start_refused(bench, what, named, variables)
            said.append(f"{what} ({seconds:.1f} s)")
    return f"each in one line that names host, port and database: {', '.join(said)}"


async def _serve_expired(server: PostgresServer, url: str) -> Path:
    """Let the server speak TLS with a certificate that has expired; gives its file."""
    assert server.folder is not None
    folder = server.folder / "data"
    key, request, certificate = (folder / f"server.{kind}" for kind in ("key", "csr", "crt"))
    new = f"req -new -newkey rsa:2048 -nodes -subj /CN=127.0.0.1 -keyout {key} -out {request}"
    sign = f"x509 -req -in {request} -signkey {key} -days -1 -out {certificate}"
    for arguments in (new, sign):
        await asyncio.to_thread(
            subprocess.run, ["openssl", *arguments.split()], check=True, capture_output=True
        )
    owner = folder.stat()
    for file in (key, certificate):
        os.chown(file, owner.st_uid, owner.st_gid)
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET ssl = on")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()
    return certificate
