"""Continuous against static batches over HTTP, from half of the capacity up to near all of it.

`python -m benchmarks.batching --checkpoint FOLDER [--mixture mixed|everyday|long]
[--shares 0.5 0.7 0.85] [--seconds N] [--static-rows N] [--beam N] [--json]`. Three services run
side by side, of which one at a time is asked, so that whatever else happens on the machine happens
to all:

- `continuous`: the service as it is;
- `static`: nobody joins a table that is not empty, and each answer leaves when its sentence ends;
- `whole`: the same, but answers wait for the end of their batch, the way of servers that collect a
  batch, run a model on it and hand the results out.

Static batches have up to `--static-rows` hypotheses: small ones would be encoded more often, and
what a table of joining sentences is kept small for, that long ones are sooner done, they have less
need of. The capacity is that of the continuous service. Each service gets the same sentences at the
same moments of an open loop, for each share of that capacity. A service whose answers come ever
later has a capacity below what is asked: `answered` tells. It is also told what others took of the
processors, who ought to take nothing.

Latencies (ms; in brackets over those of the continuous service) are told of all sentences, and of
the short ones alone: at the 99th percentile the former are those of the longest sentences, for
which a batch that nobody joins is a good place; what long ones cost the others tell the latter.
"""

import argparse
import asyncio
import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.http_load import Answer, closed_loop, good, open_loop, percentile, rate_of
from benchmarks.mixtures import MIXTURES, bodies
from benchmarks.served import Served, served

PATH = "/v1/translate"
CALLERS = 128
WARM_SECONDS = 1
CAPACITY_SECONDS = 6
STATIC_ROWS = 64
"""Hypotheses of a static batch."""
POLICIES = ("continuous", "static", "whole")
PERCENTS = (50, 95, 99)
FIGURES = ("p50", "p95", "p99", "short_p50", "short_p95", "short_p99")
SHORT_CHARACTERS = 80
"""Of the longest sentence that counts as short: one clause, some 16 pieces."""


async def measure(options: argparse.Namespace) -> dict[str, float]:
    """Sentences a second and milliseconds, by policy and share."""
    sentences = MIXTURES[options.mixture](options.sentences)
    found: dict[str, float] = {}
    others: list[float] = []
    async with contextlib.AsyncExitStack() as running:
        services = {
            policy: await running.enter_async_context(_served(policy, number, options))
            for number, policy in enumerate(POLICIES)
        }
        for service in services.values():
            await _as_much_as_possible(service, sentences, options.beam, WARM_SECONDS)
        found["capacity"] = await _as_much_as_possible(
            services["continuous"], sentences, options.beam, CAPACITY_SECONDS
        )
        print(f"capacity {found['capacity']:.1f}", flush=True)
        for share in options.shares:
            for policy, service in services.items():
                rate = share * found["capacity"]
                requests = bodies(sentences, options.beam)
                processors = service.processors()
                answers = await open_loop(service.client, PATH, requests, rate, options.seconds)
                others.append(processors.taken()["others"])
                answered = rate_of(answers, options.seconds) * options.seconds / len(answers)
                found[f"{policy}_{share}_answered"] = answered
                for name, some in (("", good(answers)), ("short_", short_ones(answers, sentences))):
                    for percent in PERCENTS:
                        latency = percentile(some, percent)
                        found[f"{policy}_{share}_{name}p{percent}"] = latency
    found["processors_others"] = max(others)
    return found


def short_ones(answers: Sequence[Answer], sentences: Sequence[str]) -> list[Answer]:
    """The answers to short sentences, which have little work of their own: the rest is waiting."""
    return [
        answer
        for answer in good(answers)
        if len(sentences[answer.number % len(sentences)]) <= SHORT_CHARACTERS
    ]


def _served(
    policy: str, number: int, options: argparse.Namespace
) -> contextlib.AbstractAsyncContextManager[Served]:
    checkpoint, port = options.checkpoint, options.port + number
    if policy == "continuous":
        return served(checkpoint, port, max_wait_seconds=60)
    return served(checkpoint, port, policy, max_wait_seconds=60, max_rows=options.static_rows)


async def _as_much_as_possible(
    service: Served, sentences: list[str], beam: int, seconds: float
) -> float:
    answers = await closed_loop(service.client, PATH, bodies(sentences, beam), CALLERS, seconds)
    return rate_of(answers, seconds, seconds / 5)


def report(found: dict[str, float], shares: list[float], *, as_json: bool) -> None:
    """The table, and with `as_json` one object on the last line."""
    ratios = {}
    names = "".join(f"{name.replace('_', ' '):>16}" for name in FIGURES)
    print(f"{'share':6}{'policy':12}{'answered':>10}{names}")
    for share in shares:
        for policy in POLICIES:
            line = f"{share:<6}{policy:12}{found[f'{policy}_{share}_answered']:10.2f}"
            for name in FIGURES:
                key = f"{policy}_{share}_{name}"
                ratio = found[key] / found[f"continuous_{share}_{name}"]
                ratios[f"{key}_ratio"] = ratio
                line += f"{found[key]:9.0f} ({ratio:4.1f})"
            print(line)
    print(f"processors that others took, at worst (should be 0): {found['processors_others']:.2f}")
    if as_json:
        print(json.dumps(ratios | found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--mixture", choices=list(MIXTURES), default="mixed")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.5, 0.7, 0.85])
    parser.add_argument("--seconds", type=float, default=20, help="of each load")
    parser.add_argument("--static-rows", type=int, default=STATIC_ROWS, help="of a static batch")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--port", type=int, default=8250, help="and the two behind it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    report(asyncio.run(measure(options)), options.shares, as_json=options.json)


if __name__ == "__main__":
    main()
