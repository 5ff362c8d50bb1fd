"""The service under load over HTTP: latency, goodput, overload; continuous against static batches.

`python -m benchmarks.serve --checkpoint FOLDER [--seconds N] [--share 0.7] [--beam N] [--json]`.
What the machine can do comes first: `bulk` is the search alone on batches of 64 sentences of about
one length, `capacity` what many callers get over HTTP. Then an open loop asks at `--share` of that
capacity, of the service as it is and of one with static batches, and at last at ten times the
capacity, with `max_wait_seconds` at the 99th percentile that was found before. The client shares
the machine with the servers.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from itertools import cycle
from pathlib import Path

import torch

from benchmarks.http_load import Client, closed_loop, good, open_loop, percentile, rate_of
from model.batch import pad_sentences
from model.checkpoint import load_checkpoint
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import beam_search

ROOT = Path(__file__).parents[1]
PATH = "/v1/translate"
CALLERS = 128
OVERLOAD = 10
MOST_CLAUSES = 6
"""Of the longest sentences: lengths are mixed, most short and a few several times as long."""


def mixed_sentences(count: int, seed: int = 1) -> list[str]:
    """Sentences of one to six clauses, three quarters of them of one."""
    lines = (ROOT / "tests/data/pairs.en-fr.tsv").read_text("utf-8").splitlines()
    clauses = [line.split("\t")[0].rstrip(".!?") for line in lines]
    draw = random.Random(seed)
    lengths = [max(1, draw.randint(1, 4 * MOST_CLAUSES) - 3 * MOST_CLAUSES) for _ in range(count)]
    return [" and ".join(draw.choices(clauses, k=length)) + "." for length in lengths]


def bodies(sentences: list[str], beam: int) -> Iterator[bytes]:
    """The same requests over and over; nothing is stored, alignments are links."""
    options = {"decoding": {"beam_size": beam}, "alignment": {"form": "links"}, "store": False}
    return cycle([json.dumps({"text": one, **options}).encode() for one in sentences])


def bulk_rate(checkpoint: Path, sentences: list[str], beam: int) -> float:
    """Sentences a second of the search alone, with one thread."""
    loaded = load_checkpoint(checkpoint)
    network, tokenizer = FastSeq2Seq(loaded.model), loaded.source_tokenizer
    ids = sorted(([*tokenizer.encode(one), tokenizer.eos_id] for one in sentences), key=len)
    batches = [
        pad_sentences(ids[first : first + 64], tokenizer.pad_id) for first in range(0, len(ids), 64)
    ]
    torch.set_num_threads(1)
    options = SearchOptions(beam_size=beam)
    beam_search(network, batches[0], options)
    began = time.monotonic()
    for batch in batches:
        beam_search(network, batch, options)
    return len(ids) / (time.monotonic() - began)


@contextlib.asynccontextmanager
async def server(
    checkpoint: Path, port: int, *policy: str, **settings: object
) -> AsyncIterator[Client]:
    """A service of its own process, ready; gone at the end."""
    most = 1_000_000
    chosen = {
        "checkpoints": checkpoint, "max_caller_share": 1.0, "max_connections": most,
        "max_connections_per_address": most, "max_pending_sentences": most,
        "max_pending_tokens": most, **settings,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {
            f"SOFTALIGN_{name.upper()}": str(value) for name, value in chosen.items()
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.serve_worker",
            str(port),
            *policy,
            env=environment | {"SOFTALIGN_DATA": data, "OMP_NUM_THREADS": "1"},
            cwd=ROOT,
        )
        try:
            await _ready(process, port)
            client = Client(port)
            yield client
            client.close()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, port: int) -> None:
    while process.returncode is None:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(0.2)
    raise SystemExit("the service did not start; its complaint stands above")


async def measure(options: argparse.Namespace) -> dict[str, float]:
    """All figures, in milliseconds and sentences a second."""
    sentences = mixed_sentences(options.sentences)
    requests = bodies(sentences, options.beam)
    checkpoint, port, seconds = options.checkpoint, options.port, options.seconds
    found = {"bulk": bulk_rate(checkpoint, sentences, options.beam)}
    tell("bulk", found["bulk"])
    async with server(checkpoint, port, max_wait_seconds=60) as client:
        await closed_loop(client, PATH, requests, CALLERS, 2)
        idle = await closed_loop(client, PATH, requests, 1, min(10, seconds))
        found["idle_p50"] = percentile(good(idle), 50)
        busy = await closed_loop(client, PATH, requests, CALLERS, seconds)
        found["capacity"] = rate_of(busy, seconds, seconds / 5)
        tell("capacity", found["capacity"])
        offered = options.share * found["capacity"]
        usual = await open_loop(client, PATH, requests, offered, seconds)
        found |= summary("", usual, seconds)
        found["offered"] = len(usual) / seconds
    async with server(checkpoint, port + 1, "static", max_wait_seconds=60) as client:
        static = await open_loop(client, PATH, requests, offered, seconds)
        found |= summary("static_", static, seconds)
    wait = found["p99"] / 1000
    async with server(checkpoint, port + 2, max_wait_seconds=max(0.01, wait)) as client:
        rate = OVERLOAD * found["capacity"]
        flood = await open_loop(client, PATH, requests, rate, options.overload_seconds)
        found |= summary("overload_", flood, options.overload_seconds)
        found["overload_offered"] = len(flood) / options.overload_seconds
        refused = [answer for answer in flood if answer.status == 503]
        found["overload_refused_p95"] = percentile(refused, 95)
        found["overload_other"] = sum(answer.status not in (200, 503) for answer in flood)
    return found


def summary(prefix: str, answers: list, seconds: float) -> dict[str, float]:
    """Latency and goodput of one load."""
    figures = {
        "p50": percentile(good(answers), 50),
        "p99": percentile(good(answers), 99),
        "goodput": rate_of(answers, seconds),
    }
    for name, value in figures.items():
        tell(prefix + name, value)
    return {prefix + name: value for name, value in figures.items()}


def tell(name: str, value: float) -> None:
    """Progress, for whoever waits."""
    print(f"{name} {value:.1f}", file=sys.stderr, flush=True)


def report(found: dict[str, float], share: float, *, as_json: bool) -> None:
    """The table, and with `as_json` one object on the last line."""
    ratios = {
        "goodput_ratio": found["goodput"] / found["offered"],
        "capacity_ratio": found["capacity"] / found["bulk"],
        "p99_over_idle_p50": found["p99"] / found["idle_p50"],
        "static_p99_ratio": found["static_p99"] / found["p99"],
        "overload_p99_ratio": found["overload_p99"] / found["p99"],
        "overload_goodput_ratio": found["overload_goodput"] / found["capacity"],
    }
    rows = [
        ("search alone, sentences/s", found["bulk"], None),
        ("over HTTP at most, sentences/s; share of that", found["capacity"], "capacity_ratio"),
        ("one at a time, p50, ms", found["idle_p50"], None),
        (f"at {share:g} of capacity: answered/s; share of offered", found["goodput"],
         "goodput_ratio"),
        ("the same: p99, ms; over one at a time", found["p99"], "p99_over_idle_p50"),
        ("static batches: p99, ms; over continuous", found["static_p99"], "static_p99_ratio"),
        (f"at {OVERLOAD}× capacity: answered/s; share of capacity", found["overload_goodput"],
         "overload_goodput_ratio"),
        ("the same: p99 of the accepted, ms; over usual", found["overload_p99"],
         "overload_p99_ratio"),
        ("the same: p95 of the refused, ms", found["overload_refused_p95"], None),
    ]  # fmt: skip
    print(f"{'':52}{'figure':>10}{'ratio':>8}")
    for label, figure, ratio in rows:
        print(f"{label:52}{figure:10.1f}{'' if ratio is None else f'{ratios[ratio]:8.2f}'}")
    if as_json:
        print(json.dumps(ratios | found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--share", type=float, default=0.7, help="of capacity that is asked for")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--port", type=int, default=8240, help="and the two behind it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report(asyncio.run(measure(options)), options.share, as_json=options.json)


if __name__ == "__main__":
    main()
