"""A: names, paths and addresses that lead elsewhere."""

import json
import sys
from pathlib import Path
from urllib.parse import quote

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.json_bodies import refused, tally
from benchmarks.abuse.service import ROOT
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.traced import traced
from benchmarks.abuse.wire import get, post

TRAVERSALS = (
    "..", "../tiny", "../../etc/passwd", "/etc/passwd", "%2e%2e", "..%2f..%2fetc%2fpasswd",
    "%252e%252e%252f", "....//", "C:\\windows\\win.ini", "\\\\host\\share", "a\0b", "%00", "%ff",
    "\u202e..", "file:///etc/passwd", "~root", "$(id)", "`id`", "tiny/../../x", "x" * 3_000,
)  # fmt: skip


@case(
    "A15",
    "path traversal in model, language, record id, addresses",
    "404, 414 or 422; no file opened outside",
)
async def traversals(bench: Bench) -> str:
    service = await bench.shared()
    replies = []
    async with traced(bench, service, "open", "openat") as trace:
        for name in TRAVERSALS:
            for field in ("model", "source_lang", "target_lang"):
                body = json.dumps({"text": "Yes.", field: name}).encode()
                replies.append(await post(service.port, body))
            for raw in (quote(name, safe="%"), quote(name, safe="")):
                for place in (
                    "/v1/translations/",
                    "/v1/translations/{}/alignment",
                    "/",
                    "/assets/",
                ):
                    target = place.format(raw) if "{" in place else place + raw
                    reply = await get(service.port, target.encode())
                    replies.append(reply)
    refused(replies, 400, 404, 405, 414, 422)
    allowed = tuple(map(str, (service.data, bench.checkpoints, ROOT, sys.prefix, sys.base_prefix)))
    system = ("/proc/self", "/sys/devices/system", "/dev/urandom", "/usr/lib", "/lib", "/etc/ld.so")
    outside = {
        path
        for path in trace.arguments("openat") | trace.arguments("open")
        if Path(path).is_absolute() and not path.startswith((*allowed, *system))
    }
    figure = (
        f"{len(replies)} requests: {tally(replies)}; opened outside: {sorted(outside) or 'none'}"
    )
    require(not outside, figure)
    return figure


@case(
    "A16",
    "CR and LF in names, languages, ids, X-Request-Id",
    "refused, or replaced; never repeated",
)
async def line_breaks(bench: Bench) -> str:
    port = (await bench.shared()).port
    nasty = ("a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "\u010d\u010a", "a%0d%0aX: y")
    replies = []
    for name in nasty:
        bodies = [{"text": "Yes.", field: name} for field in ("model", "source_lang")]
        replies += [await post(port, json.dumps(body).encode()) for body in bodies]
        replies.append(await get(port, f"/v1/translations/{quote(name)}".encode()))
        replies.append(await get(port, b"/v1/models", (b"X-Request-Id", name.encode())))
    for reply in replies:
        require("set-cookie" not in reply.headers and "x" not in reply.headers, "a header is split")
        require(reply.status in (200, 400, 404, 422), f"a {reply.status}")
    ids = [reply.headers["x-request-id"] for reply in replies if "x-request-id" in reply.headers]
    odd = [
        one for one in ids if not one.replace("-", "").replace("_", "").replace(".", "").isalnum()
    ]
    figure = f"{len(replies)} requests: {tally(replies)}; {len(odd)} odd ids among {len(ids)}"
    require(not odd, figure)
    return figure


@case(
    "A17",
    "requests made from the OpenAPI document, fixed seed, all checks",
    "0 failures in ≥ 2,000",
)
async def from_the_document(bench: Bench) -> str:  # noqa: ARG001
    return f"≥ 2,000 requests; {await proved_by('tests/end_to_end/test_schemathesis.py')}"


@case("A19", "addresses as texts, models, languages, records", "taken as texts; no connection made")
async def addresses_as_texts(bench: Bench) -> str:
    service = await bench.shared()
    baits = (
        "http://169.254.169.254/latest/meta-data/", "http://localhost:1/", "file:///etc/passwd",
        "gopher://x", "//example.org/x", "http://example.org/model.tar", "ldap://x/${jndi}",
    )  # fmt: skip
    translated = 0
    async with traced(bench, service, "connect") as trace:
        for bait in baits:
            translated += (await service.translate(bait, store=True)).status_code == 200
            for field in ("model", "source_lang", "webhook", "url"):
                body = json.dumps({"text": "Yes.", field: bait}).encode()
                refused([await post(service.port, body)], 422)
            refused(
                [await get(service.port, f"/v1/translations/{quote(bait, safe='')}".encode())], 404
            )
    connected = trace.arguments("connect")
    figure = (
        f"{translated} of {len(baits)} translated as texts; connected to {connected or 'nobody'}"
    )
    require(translated == len(baits) and not connected, figure)
    return figure
