"""L: who may do what, and what leaks."""

import asyncio
import json
import re
import secrets
import sqlite3
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from urllib.parse import quote

import psutil

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.callers import bearer, keys_command, make_key
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.json_bodies import tally
from benchmarks.abuse.overload import BODY
from benchmarks.abuse.service import CANARY, Service
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.wire import connect, get, head, post

PUBLIC = {"/", "/livez", "/readyz", "/docs", "/openapi.json"}
VERDICT_SECONDS = 5.5
"""How long a running service may go by what it knew of keys, and a little more."""
RANDOM_IDS, STRANGERS = 100_000, 10_000
NO_QUOTA = {"key_requests_per_minute": 0, "key_requests_per_second": 0, "key_tokens_per_minute": 0,
            "failed_keys_per_minute": 0}  # fmt: skip


@asynccontextmanager
async def with_keys(bench: Bench, *owners: str, **settings: object) -> AsyncIterator[tuple]:
    """A service that asks for keys, and a key of each of these owners."""
    async with bench.service(**{**NO_QUOTA, **settings}) as service:
        keys = [await make_key(service, owner) for owner in owners]
        await asyncio.sleep(VERDICT_SECONDS)
        yield service, *keys


@case(
    "L1",
    "every address and method without a key, and with one of another scope",
    "401 or 403 but for the public",
)
async def every_route(bench: Bench) -> str:
    async with with_keys(bench, "ann") as (service, _):
        document = (await service.http.get("/openapi.json")).json()
        replies = []
        for path in document["paths"]:
            if path in PUBLIC:
                continue
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                reply = await service.http.request(method, path.replace("{id}", "x" * 24))
                replies.append(reply)
                known = method.lower() in document["paths"][path]
                expected = (401,) if known else (401, 404, 405)
                require(reply.status_code in expected, f"{method} {path}: {reply.status_code}")
    tests = await proved_by("tests/app/test_gate.py")
    return f"{len(replies)} requests to {len(document['paths'])} addresses refused; {tests}"


@case(
    "L2",
    "another owner's record, its deletion, cursor, key of a request",
    "404 as for a random id; Δt < 2 ms",
)
async def foreign_records(bench: Bench) -> str:
    async with with_keys(bench, "ann", "bob") as (service, ann, bob):
        key = (b"Idempotency-Key", b"the-same")
        own = [json.loads((await post(service.port, BODY, fields=[bearer(ann), key])).body)["id"]]
        own += [
            json.loads((await post(service.port, BODY, fields=[bearer(ann)])).body)["id"]
            for _ in range(2)
        ]
        page = json.loads((await get(service.port, b"/v1/translations?limit=1", bearer(ann))).body)
        shapes, times = set(), {"foreign": [], "random": []}
        for number in range(500):
            for what, record in (
                ("foreign", own[number % 3]),
                ("random", secrets.token_urlsafe(18)),
            ):
                reply = await get(service.port, f"/v1/translations/{record}".encode(), bearer(bob))
                document = json.loads(reply.body)
                document.pop("request_id")
                shapes.add((reply.status, json.dumps(document)))
                times[what].append(1000 * reply.seconds)
        cursor = f"/v1/translations?cursor={page['next_cursor']}".encode()
        stolen = await get(service.port, cursor, bearer(bob))
        deleted = await post(
            service.port, b"", target=f"/v1/translations/{own[0]}".encode(), method=b"DELETE",
            fields=[bearer(bob)],
        )  # fmt: skip
        same_key = await post(service.port, BODY, fields=[bearer(bob), key])
        still = await get(service.port, f"/v1/translations/{own[0]}".encode(), bearer(ann))
        listed = json.loads((await get(service.port, b"/v1/translations", bearer(bob))).body)
    gap = abs(statistics.median(times["foreign"]) - statistics.median(times["random"]))
    seen = {one["id"] for one in listed["translations"]} & set(own)
    figure = (
        f"{len(shapes)} kind of answer in 1,000, Δt {gap:.2f} ms, cursor {stolen.status}, "
        f"deletion {deleted.status}, same key {same_key.status}, {len(seen)} listed, "
        f"still there: {still.status}"
    )
    require({status for status, _ in shapes} == {404} and len(shapes) == 1 and gap < 2, figure)
    require((stolen.status, deleted.status, still.status) == (422, 404, 200), figure)
    require("idempotent-replayed" not in same_key.headers and not seen, figure)
    return figure


@case("L3", "100,000 random ids; where ids come from", "404; ≥ 128 bits of a CSPRNG")
async def random_ids(bench: Bench) -> str:
    service = await bench.shared()
    # No more at once than there are connections to the database.
    tallies = await asyncio.gather(*(_guess(service.port, RANDOM_IDS // 8) for _ in range(8)))
    statuses = sum(tallies, Counter())
    names = {(await service.translate("Yes.", store=True)).json()["id"] for _ in range(20)}
    require(all(re.fullmatch(r"[A-Za-z0-9_-]{24}", name) for name in names), f"ids {names}")
    figure = f"{dict(statuses)}; ids of 144 bits, {len(names)} of 20 differ"
    require(statuses == {404: RANDOM_IDS} and len(names) == 20, figure)
    name = "test_ids_have_144_random_bits_and_are_safe_in_an_address"
    return f"{figure}; {await proved_by(f'tests/app/storage/test_records.py::{name}')}"


async def _guess(port: int, count: int) -> Counter[int]:
    """Ask for so many random ids, one after the other on one connection."""
    wire, statuses = await connect(port), Counter[int]()
    for _ in range(count):
        await wire.send(head(b"GET", f"/v1/translations/{secrets.token_urlsafe(18)}".encode()))
        statuses[(await wire.reply()).status] += 1
    wire.close()
    return statuses


@case(
    "L4",
    "keys malformed, of 1 MB, revoked, of another environment, in the query, twice",
    "401, key_in_url; revoked ≤ 5 s",
)
async def bad_keys(bench: Bench) -> str:
    async with with_keys(bench, "ann", "bob") as (service, ann, bob):
        wrong = ("", "x", "atk_live_x_y_z", ann[:-1], ann + "x", ann.swapcase(), "a" * 4_000,
                 ann.replace("_live_", "_test_"), "%00", "\t")  # fmt: skip
        replies = [await get(service.port, b"/v1/models", bearer(key)) for key in wrong]
        require({reply.status for reply in replies} == {401}, tally(replies))
        large = await get(service.port, b"/v1/models", bearer("a" * 2**20))
        twice = await get(service.port, b"/v1/models", bearer(ann), (b"X-API-Key", ann.encode()))
        query = await get(service.port, f"/v1/models?api_key={ann}".encode())
        again = await get(service.port, b"/v1/models", bearer(ann))
        known = (await get(service.port, b"/v1/models", bearer(bob))).status
        code, said = await keys_command(service, "revoke", bob.split("_")[2])
        require(code == 0, said)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while (await get(service.port, b"/v1/models", bearer(bob))).status == 200:
            require(loop.time() - began < 6, "a revoked key lives on")
            await asyncio.sleep(0.1)
        revoked = loop.time() - began
    figure = (
        f"{len(wrong)}×401, 1 MB {large.status}, twice {twice.status}, in the query {query.code}, "
        f"good {again.status}, revoked after {revoked:.1f} s"
    )
    require((large.status, again.status, query.code) == (431, 200, "key_in_url"), figure)
    require(known == 200, "the other key was never good")
    require(twice.status in (400, 401) and revoked <= 5.5, figure)
    return figure


@case(
    "L5",
    "database, log, metrics, command line, errors, after keys were used",
    "0 keys in plain text",
)
async def plain_keys(bench: Bench) -> str:
    async with with_keys(bench, "ann") as (service, key):
        secret = key.split("_")[3]
        bodies = [
            (await get(service.port, target, bearer(key), *more)).body
            for target in (b"/v1/models", b"/v1/nowhere", b"/v1/translations?limit=0")
            for more in ([], [(b"X-API-Key", key.encode())])
        ]
        bodies.append((await get(service.port, f"/v1/models?key={key}".encode())).body)
        with closing(sqlite3.connect(service.data / "softalign.db")) as connection:
            dump = "\n".join(connection.iterdump())
        files = b"".join(path.read_bytes() for path in service.data.iterdir() if path.is_file())
        process = psutil.Process(service.pid)
        places = {
            "dump": dump, "files": files.decode("latin-1"), "log": service.log.read_text(),
            "metrics": await service.exposition(), "errors": b"".join(bodies).decode(),
            "command line": " ".join(process.cmdline()) + str(process.environ()),
        }  # fmt: skip
    found = [name for name, content in places.items() if secret in content]
    require(not found, f"in {found}")
    return f"0 in {', '.join(places)}"


@case("L6", "a canary in texts, fields, headers, addresses: 200, 4xx, 5xx", "0 in log and metrics")
async def canaries(bench: Bench) -> str:
    async with bench.service(slow=True, stall_seconds=1) as service:
        await service.translate(CANARY, store=True)
        for body in (
            b'{"text": "%s", "x": 1}',
            b'{"%s": 1}',
            b'{"text": "%s\\ud800"}',
            b'"%s',
            b'{"text": "a", "model": "%s"}',
        ):
            reply = await post(service.port, body % CANARY.encode())
            require(
                CANARY.encode() not in reply.body or b"/" + CANARY.encode() in reply.body, "quoted"
            )
        for place in (f"/{CANARY}", f"/v1/models?x={CANARY}", f"/v1/translations/{CANARY}"):
            await get(service.port, place.encode())
        for name in (
            b"X-Request-Id",
            b"User-Agent",
            b"Authorization",
            b"Accept",
            b"Idempotency-Key",
        ):
            await get(service.port, b"/v1/models", (name, f"{CANARY} \x1b[31m".encode()))
        service.set_step("dead")
        failed = await service.translate(CANARY)
        service.set_step("0")
        log, metrics = service.log.read_text(), await service.exposition()
    hits = log.count(CANARY) + metrics.count(CANARY)
    lines = len(log.splitlines())
    figure = f"{hits} hits in {lines} lines and the metrics, also after {failed.status_code}"
    require(hits == 0, figure)
    return f"{figure}; {await proved_by('tests/app/test_request_log.py')}"


@case("L7", "10,000 keys, paths, methods, user agents, addresses", "series constant, < 500")
async def series(bench: Bench) -> str:
    service = await bench.shared()
    await _ask_strangely(service, 50)
    before = len((await service.exposition()).splitlines())
    await _ask_strangely(service, STRANGERS)
    after = len((await service.exposition()).splitlines())
    samples = [line for line in (await service.exposition()).splitlines() if line[0] != "#"]
    names = {re.sub(r'le="[^"]*",?', "", line.rpartition(" ")[0]) for line in samples}
    figure = f"{before} lines before, {after} after; {len(names)} series"
    require(before == after and len(names) < 500, figure)
    return figure


async def _ask_strangely(service: Service, count: int) -> None:
    for number in range(count):
        name = secrets.token_hex(8).encode()
        kind = number % 4
        fields = [(b"Authorization", b"Bearer " + name), (b"User-Agent", name)]
        method = b"X" + name.upper() if kind == 3 else b"GET"
        target = (b"/v1/models", b"/" + name, b"/v1/translations/" + name, b"/livez")[kind]
        address = f"127.{number % 250}.{number // 250}.7"  # all of 127/8 is this machine
        wire = await connect(service.port, address)
        await wire.send(head(method, target, fields))
        require((await wire.reply()).status >= 200, f"no answer for {address}")
        wire.close()


@case("L8", "Origin evil, null, alike; preflights", "no Access-Control-Allow-Origin")
async def origins(bench: Bench) -> str:
    service = await bench.shared()
    origins = (
        "https://evil.example",
        "null",
        f"http://127.0.0.1:{service.port}.evil.example",
        "*",
        "file://",
    )
    replies = []
    for origin in (one.encode() for one in origins):
        field = (b"Origin", origin)
        asked = (b"Access-Control-Request-Method", b"POST")
        replies += [
            await get(service.port, b"/v1/models", field),
            await post(service.port, BODY, fields=[field]),
            await post(
                service.port, b"", method=b"OPTIONS", media_type=None, fields=[field, asked]
            ),
        ]
    allowed = [one for one in replies if any(n.startswith("access-control") for n in one.headers)]
    figure = f"{len(replies)} requests, {len(allowed)} allowed ({tally(replies)})"
    require(not allowed, figure)
    return figure


@case(
    "L9", "X-Forwarded-For, Host, X-Forwarded-Proto from who is no proxy", "never taken for another"
)
async def forged_addresses(bench: Bench) -> str:
    settings = {"allow_anonymous": True, "address_requests_per_minute": 10}
    async with bench.service(**settings) as service:
        statuses = []
        for number in range(30):
            forged = [
                (b"X-Forwarded-For", f"10.0.0.{number}".encode()),
                (b"X-Forwarded-Proto", b"https"),
            ]
            statuses.append((await get(service.port, b"/v1/models", *forged)).status)
    passed, stopped = statuses.count(200), statuses.count(429)
    figure = f"30 requests under 30 forged addresses: {passed}×200, {stopped}×429"
    require((passed, stopped) == (10, 20), figure)
    return f"{figure}; {await proved_by('tests/app/test_client_address.py')}"


@case("L10", "100 bad keys from one address", "429 from the 21st on; good keys from there go on")
async def guessed_keys(bench: Bench) -> str:
    async with with_keys(bench, "ann", failed_keys_per_minute=20) as (service, ann):
        statuses = [
            (await get(service.port, b"/v1/models", bearer(f"atk_live_{n}"))).status
            for n in range(100)
        ]
        good = (await get(service.port, b"/v1/models", bearer(ann))).status
    figure = f"{statuses.count(401)}×401, {statuses.count(429)}×429, a good key {good}"
    require(statuses.count(401) == 20 and statuses.count(429) == 80 and good == 200, figure)
    return figure


@case(
    "L11", "errors of every kind", "problem documents without stack, path, SQL, version; no Server"
)
async def bare_errors(bench: Bench) -> str:
    service = await bench.shared()
    targets = (
        b"/nowhere", b"/v1/translations/x", b"/v1/translations?limit=x", b"/v1/translate", b"//",
        b"/v1/", b"/docs/x", b"/.git/config", b"/static/../../etc/passwd",
        b"/v1/translations?cursor=%00",
    )  # fmt: skip
    replies = [await get(service.port, target) for target in targets]
    replies += [await post(service.port, body) for body in (b"{", b"[]", b'{"text": 1}')]
    tell_tale = re.compile(
        rb"Traceback|File \"|site-packages|SELECT|sqlite|uvicorn|python|/app/|fastapi", re.I
    )
    for reply in replies:
        require(reply.is_problem, f"a {reply.status} that is no problem document")
        require(not tell_tale.search(reply.body), f"tells {reply.body!r}")
        require("server" not in reply.headers and "x-powered-by" not in reply.headers, "a Server")
    return f"{len(replies)} errors: {tally(replies)}"


@case("L12", "/metrics and admin on the public listener", "404")
async def public_listener(bench: Bench) -> str:
    service = await bench.shared()
    targets = ("/metrics", "/v1/admin/models", "/admin", "/debug", "/v1/admin/models/tiny:activate")
    statuses = [await service.status(target) for target in targets]
    posted = await service.http.post("/v1/admin/models/tiny:activate")
    page = await service.http.post(
        f"http://127.0.0.1:{service.admin_port}/v1/admin/models/tiny:activate",
        headers={"Origin": "https://evil.example"},
    )
    figure = f"{statuses}, POST {posted.status_code}; a web page there {page.status_code}"
    require({*statuses, posted.status_code} == {404} and page.status_code == 403, figure)
    return figure


@case(
    "L14", "newlines, ANSI, %s, JSON in texts, headers, addresses", "every log line one JSON object"
)
async def forged_lines(bench: Bench) -> str:
    service = await bench.shared()
    for nasty in (
        "a\nb",
        "\x1b[2J",
        "%s%n%x",
        '{"level": "error"}',
        "\u2028",
        "\r\n{}",
        "${jndi:ldap://x}",
    ):
        await service.translate(nasty)
        await get(
            service.port, b"/v1/models", (b"User-Agent", nasty.encode().replace(b"\n", b"\t"))
        )
        await service.status(f"/{quote(nasty)}")
    events = service.events()
    forged = [one for one in events if "event" not in one or "level" not in one]
    require(not forged, f"{len(forged)} lines that are not ours")
    return f"{len(events)} lines, each one JSON object of ours"
