"""A: what a body, a number or a string of JSON can be abused for."""

import json
import random
import time
from collections.abc import Iterator

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import CANARY
from benchmarks.abuse.wire import Reply, get, post

INTEGERS = ("decoding.beam_size", "decoding.n_best", "decoding.max_length",
            "decoding.no_repeat_ngram_size", "alignment.precision",
            "ttl", "deadline_ms")  # fmt: skip
NUMBERS = (*INTEGERS, "decoding.length_penalty", "decoding.coverage_penalty", "alignment.threshold")


def tally(replies: list[Reply]) -> str:
    """How many answers had which status."""
    statuses = [reply.status for reply in replies]
    return ", ".join(f"{statuses.count(one)}×{one}" for one in sorted(set(statuses)))


def refused(replies: list[Reply], *statuses: int) -> None:
    """Every answer must be a problem with one of these statuses, and quote nothing."""
    for reply in replies:
        require(reply.status in statuses, f"{tally(replies)} instead of {statuses}")
        require(reply.is_problem, f"a {reply.status} that is no problem document")
        require(CANARY.encode() not in reply.body, "the text is quoted")


def body_with(field: str, raw: str) -> bytes:
    """A request whose `field` (of an inner object: `outer.inner`) is written as `raw`."""
    outer, _, inner = field.rpartition(".")
    member = f'"{inner}": {raw}'
    if outer:
        member = f'"{outer}": {{{member}}}'
    return f'{{"text": "{CANARY}", {member}}}'.encode()


def surrogate_bodies() -> Iterator[bytes]:
    """Halves of surrogate pairs, escaped and raw, wherever a string can be."""
    draw = random.Random(1)
    places = (
        '{{"text": "{CANARY}{half}"}}', '{{"text": "{half}{CANARY}"}}',
        '{{"text": ["fine", "{CANARY} {half}"]}}', '{{"text": "a", "{half}": 1}}',
        '{{"text": "a", "model": "{half}"}}', '{{"text": "a", "source_lang": "{half}x"}}',
        '{{"text": "a", "decoding": {{"{half}": 1}}}}', '{{"text": "a", "include": ["{half}"]}}',
    )  # fmt: skip
    for place in places:
        for _ in range(13):
            half = draw.randrange(0xD800, 0xE000)
            yield place.format(CANARY=CANARY, half=f"\\u{half:04x}").encode()
            raw = chr(half).encode("utf-8", "surrogatepass")
            yield place.format(CANARY=CANARY, half="HALF").encode().replace(b"HALF", raw)


@case("A1", "lone surrogates in values, keys, path and headers", "0×5xx in 200 variants, all 4xx")
async def lone_surrogates(bench: Bench) -> str:
    port = (await bench.shared()).port
    replies = [await post(port, body) for body in surrogate_bodies()]
    refused(replies, 400, 422)
    one_of_two = await post(port, b'{"text": ["fine", "a\\ud800"]}')
    places = [error["pointer"] for error in json.loads(one_of_two.body)["errors"]]
    require(places == ["/text/1"], f"the item is told as {places}")
    half = "\ud83d".encode("utf-8", "surrogatepass")
    elsewhere = [
        await get(port, b"/v1/translations/" + half),
        await get(port, b"/v1/translations/%ED%A0%80"),
        await get(port, b"/v1/translations?cursor=%ED%A0%80"),
        await get(port, b"/v1/models", (b"Authorization", b"Bearer " + half)),
        await post(port, b'{"text": "a"}', fields=[(b"Idempotency-Key", half)]),
    ]
    refused(elsewhere, 400, 401, 404, 422)
    kept = await get(port, b"/v1/models", (b"X-Request-Id", half))
    require(kept.status == 200 and kept.headers["x-request-id"].isascii(), "the id is repeated")
    return f"{len(replies) + len(elsewhere)} variants: {tally([*replies, *elsewhere])}"


@case("A2", "NaN, ±Infinity, ±1e999 in every numeric field, −0.0 in whole numbers", "0 accepted")
async def no_numbers(bench: Bench) -> str:
    port = (await bench.shared()).port
    words = ("NaN", "Infinity", "-Infinity", "1e999", "-1e999", '"NaN"')
    bodies = [body_with(field, word) for field in NUMBERS for word in words]
    bodies += [body_with(field, "-0.0") for field in INTEGERS]
    replies = [await post(port, body) for body in bodies]
    refused(replies, 400, 422)
    return f"{len(replies)} variants: {tally(replies)}"


@case("A3", "nesting of 100, 10k and 250k; 130k items; 20k keys", "each < 100 ms, RSS < +5 MB")
async def deep_and_wide(bench: Bench) -> str:
    service = await bench.shared()
    keys = ", ".join(f'"{number:x}": 0' for number in range(20_000))
    bodies = [
        b"[" * 100, b"[" * 10_000, b"[" * 250_000, b'{"a":' * 50_000,
        b'{"text": [' + b"0," * 130_000 + b"0]}", f'{{"text": "a", {keys}}}'.encode(),
        b"[" + b"0," * 1_000_000 + b"0]",
    ]  # fmt: skip
    for body in bodies * 5:
        await post(service.port, body)
    before = await service.stable_rss()
    replies = [await post(service.port, body) for _ in range(15) for body in bodies]
    grown = (await service.stable_rss() - before) / 1e6
    refused(replies, 400, 413, 422)
    slowest = max(reply.seconds for reply in replies)
    figure = f"slowest {1000 * slowest:.0f} ms, RSS {grown:+.1f} MB, {tally(replies)}"
    require(slowest < 0.1 and grown < 5, figure)
    return figure


@case("A4", "2^31, 2^63, 2^64, −1, 4,301 digits in numbers of body, query, cursor", "0×5xx")
async def large_integers(bench: Bench) -> str:
    port = (await bench.shared()).port
    numbers = (str(2**31), str(2**63), str(2**64), "-1", "9" * 4_301, "-" + "9" * 4_301)
    replies = [await post(port, body_with(field, n)) for field in INTEGERS for n in numbers]
    for number in (n.encode() for n in numbers):
        for place in (b"?limit=", b"?cursor=", b"?limit=1&cursor=", b"/"):
            replies += [await get(port, b"/v1/translations" + place + number)]
    refused(replies, 400, 404, 414, 422)
    return f"{len(replies)} variants: {tally(replies)}"


@case("A8", "Content-Type missing, multipart, form, octet-stream, other charsets", "all 415")
async def other_media_types(bench: Bench) -> str:
    port = (await bench.shared()).port
    types = (
        None, "", "text/plain", "application/octet-stream", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application/jsonx", "json", "application/xml",
        "application/json; charset=utf-16", "application/json; charset=latin-1", "*/*", ";;;",
        "application/problem+json", "a" * 8_000,
    )  # fmt: skip
    bodies = (b'{"text": "a"}', b"\xff\xfe\x00", b"", b"--x\r\n\r\n--x--")
    replies = [await post(port, body, media_type=one) for one in types for body in bodies]
    refused(replies, 415)
    return f"{len(replies)} variants: {tally(replies)}"


NOT_THE_JSON_WE_TAKE = (
    b"", b" ", b"null", b"[]", b"1", b'"text"', b'{"text": "a"', b'{"text": "a"} x',
    b'{"text": "a"}{}',
    b'{"text": "a" /* why */}', b"// why\n{}", b"{'text': 'a'}", b'{"text": "a",}', b'{text: "a"}',
    b'\xef\xbb\xbf{"text": "a"}', '{"text": "a"}'.encode("utf-16"),
    '{"text": "a"}'.encode("utf-16-le"),
    '{"text": "a"}'.encode("utf-32"), b'{"text": "a", "text": "b"}',
    b'{"text": "a", "t\\u0065xt": "b"}',
    b'{"text": "\xc0\xaf"}', b'{"text": "\xff"}', b'{"text": "\n"}', b"\x00", b'{"text": tru}',
)  # fmt: skip


@case(
    "A9",
    "empty, null, cut off, trailing, comments, BOM, UTF-16/32, twice a key",
    "all refused, < 2 kB",
)
async def not_our_json(bench: Bench) -> str:
    port = (await bench.shared()).port
    large = b'{"text": "' + CANARY.encode() * 15_000 + b'", }'
    replies = [await post(port, body) for body in (*NOT_THE_JSON_WE_TAKE, large)]
    refused(replies, 400, 422)
    longest = max(len(reply.body) for reply in replies)
    named = [json.loads(reply.body)["detail"] for reply in replies if reply.code == "invalid_json"]
    require(all("byte" in detail or "number" in detail for detail in named), "no place is named")
    figure = f"{len(replies)} bodies: {tally(replies)}, longest answer {longest} B"
    require(longest < 2_000, figure)
    return figure


@case(
    "A10",
    "unknown fields: id, tenant_id, owner, created_at, scopes, __proto__",
    "all 422, none stored",
)
async def foreign_fields(bench: Bench) -> str:
    service = await bench.shared()
    names = ("id", "tenant_id", "owner", "created_at", "expires_at", "scopes", "__proto__",
             "record", "Text", "text ", "decoding.beam_size")  # fmt: skip
    before = (await service.http.get("/v1/translations?limit=1")).json()["translations"]
    bodies = [json.dumps({"text": CANARY, name: "x"}).encode() for name in names]
    bodies += [json.dumps({"text": CANARY, "decoding": {name: 1}}).encode() for name in names]
    replies = [await post(service.port, body) for body in bodies]
    refused(replies, 422)
    codes = {error["code"] for reply in replies for error in json.loads(reply.body)["errors"]}
    require(codes == {"extra_forbidden"}, f"codes {codes}")
    after = (await service.http.get("/v1/translations?limit=1")).json()["translations"]
    require(before == after, "something was stored")
    return f"{len(replies)} variants: {tally(replies)}"


@case("A18", "2,000 random strings, surrogates included, as the text", "2,000 × 200 or 4xx")
async def random_strings(bench: Bench) -> str:
    port = (await bench.shared()).port
    draw = random.Random(18)
    ranges = ((0, 0x80), (0x80, 0x3000), (0xD700, 0xE100), (0xFE00, 0x10000), (0x10000, 0x110000))
    replies = []
    began = time.monotonic()
    for _ in range(2_000):
        letters = [chr(draw.randrange(*draw.choice(ranges))) for _ in range(draw.randrange(1, 9))]
        fields = {"store": False, "alignment": None, "decoding": {"beam_size": 1, "max_length": 3}}
        replies.append(await post(port, json.dumps({"text": "".join(letters), **fields}).encode()))
    bad = [reply for reply in replies if reply.status not in (200, 400, 422)]
    figure = f"{tally(replies)} in {time.monotonic() - began:.0f} s"
    require(not bad, figure)
    return figure
