"""The service under load over HTTP: latency, goodput, overload; continuous against static batches.

`python -m benchmarks.serve --checkpoint FOLDER [--seconds N] [--share 0.7] [--beam N] [--json]`.
What the machine can do comes first: `bulk` is the search alone on batches of 64 sentences of about
one length, `capacity` what many callers get over HTTP. Then an open loop asks at `--share` of that
capacity:

- sentences of mixed lengths, of the service as it is and of two with static batches (see
  `benchmarks/serve_worker.py`), of 64 hypotheses, at the same moments and in the same order;
- sentences of everyday length alone, at their own capacity: a sentence six times as long takes six
  times as long on an idle machine too, so what waiting adds is better seen without them.

At last it asks mixed lengths at ten times the capacity, with `max_wait_seconds` at a quarter of the
99th percentile that was found before. The client shares the machine with the servers; how much it
takes is told, and so is what others take, who ought to take nothing.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import torch

from benchmarks import mixtures
from benchmarks.batching import STATIC_ROWS
from benchmarks.http_load import Answer, closed_loop, good, open_loop, percentile, rate_of
from benchmarks.served import Served, served
from model.batch import pad_sentences
from model.checkpoint import load_checkpoint
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import beam_search

PATH = "/v1/translate"
CALLERS = 128
OVERLOAD = 10
WAIT_SHARE = 0.25
"""Of the usual 99th percentile that may be spent waiting for a first step under overload."""
WARM_SECONDS = 2


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


class Loads:
    """The loads of one run, and what was found in them: milliseconds and sentences a second."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._mixed = mixtures.mixed(options.sentences)
        self._everyday = mixtures.everyday(options.sentences)
        self.found: dict[str, float] = {}

    async def run(self) -> None:
        """Run all of them."""
        options = self._options
        self._find(bulk=bulk_rate(options.checkpoint, self._mixed, options.beam))
        async with self._served(0, max_wait_seconds=60) as service:
            await self._idle_and_capacity("", service, self._mixed)
            await self._usual("", service, self._mixed)
            await self._idle_and_capacity("everyday_", service, self._everyday)
            await self._usual("everyday_", service, self._everyday, "everyday_")
        for number, policy in enumerate(("static", "whole"), start=1):
            settings = {"max_wait_seconds": 60, "max_rows": STATIC_ROWS}
            async with self._served(number, policy, **settings) as service:
                await self._warm(service, self._mixed)
                await self._usual(f"{policy}_", service, self._mixed)
        wait = max(0.01, WAIT_SHARE * self.found["p99"] / 1000)
        async with self._served(3, max_wait_seconds=wait) as service:
            await self._warm(service, self._mixed)
            await self._overload(service)

    def _served(
        self, number: int, *policy: str, **settings: object
    ) -> AbstractAsyncContextManager[Served]:
        return served(self._options.checkpoint, self._options.port + number, *policy, **settings)

    def _requests(self, sentences: list[str]) -> Iterator[bytes]:
        return mixtures.bodies(sentences, self._options.beam)

    async def _warm(self, service: Served, sentences: list[str]) -> None:
        await closed_loop(service.client, PATH, self._requests(sentences), CALLERS, WARM_SECONDS)

    async def _idle_and_capacity(self, prefix: str, service: Served, sentences: list[str]) -> None:
        """One caller, and then many who ask again at once."""
        seconds = self._options.seconds
        await self._warm(service, sentences)
        requests = self._requests(sentences)
        idle = good(await closed_loop(service.client, PATH, requests, 1, min(10, seconds)))
        busy = await closed_loop(service.client, PATH, requests, CALLERS, seconds)
        self._find(
            prefix,
            idle_p50=percentile(idle, 50),
            idle_p99=percentile(idle, 99),
            capacity=rate_of(busy, seconds, seconds / 5),
        )

    async def _usual(
        self, prefix: str, service: Served, sentences: list[str], of: str = ""
    ) -> None:
        """An open loop at a share of the capacity; begins with the first sentence each time."""
        rate = self._options.share * self.found[f"{of}capacity"]
        await self._load(prefix, service, sentences, rate, self._options.seconds)

    async def _overload(self, service: Served) -> None:
        rate = OVERLOAD * self.found["capacity"]
        seconds = self._options.overload_seconds
        answers = await self._load("overload_", service, self._mixed, rate, seconds)
        refused = [answer for answer in answers if answer.status == 503]
        other = sum(answer.status not in (200, 503) for answer in answers)
        self._find("overload_", refused_p95=percentile(refused, 95), other=other)

    async def _load(
        self, prefix: str, service: Served, sentences: list[str], rate: float, seconds: float
    ) -> list[Answer]:
        processors = service.processors()
        answers = await open_loop(service.client, PATH, self._requests(sentences), rate, seconds)
        self._find(
            prefix,
            offered=len(answers) / seconds,
            p50=percentile(good(answers), 50),
            p99=percentile(good(answers), 99),
            goodput=rate_of(answers, seconds),
            **{f"processors_{name}": taken for name, taken in processors.taken().items()},
        )
        return answers

    def _find(self, prefix: str = "", **figures: float) -> None:
        for name, value in figures.items():
            self.found[prefix + name] = value
            print(f"{prefix}{name} {value:.2f}", file=sys.stderr, flush=True)


def report(found: dict[str, float], *, as_json: bool) -> None:
    """The table, and with `as_json` one object on the last line."""
    ratios = {
        "goodput_ratio": found["goodput"] / found["offered"],
        "capacity_ratio": found["capacity"] / found["bulk"],
        "p99_over_idle_p50": found["p99"] / found["idle_p50"],
        "p99_over_idle_p99": found["p99"] / found["idle_p99"],
        "everyday_p99_over_idle_p50": found["everyday_p99"] / found["everyday_idle_p50"],
        "static_p99_ratio": found["static_p99"] / found["p99"],
        "static_p50_ratio": found["static_p50"] / found["p50"],
        "whole_p99_ratio": found["whole_p99"] / found["p99"],
        "overload_p99_ratio": found["overload_p99"] / found["p99"],
        "overload_goodput_ratio": found["overload_goodput"] / found["capacity"],
    }
    rows = [
        ("search alone, sentences/s", "bulk", None),
        ("over HTTP at most, sentences/s; share of that", "capacity", "capacity_ratio"),
        ("one at a time, p50, ms", "idle_p50", None),
        ("one at a time, p99, ms", "idle_p99", None),
        ("usual load: answered/s; share of offered", "goodput", "goodput_ratio"),
        ("the same: p50, ms", "p50", None),
        ("the same: p99, ms; over p50 of one at a time", "p99", "p99_over_idle_p50"),
        ("the same: p99, ms; over p99 of one at a time", "p99", "p99_over_idle_p99"),
        ("everyday lengths: p99, ms; over p50 of one", "everyday_p99",
         "everyday_p99_over_idle_p50"),
        ("static batches: p50, ms; over continuous", "static_p50", "static_p50_ratio"),
        ("static batches: p99, ms; over continuous", "static_p99", "static_p99_ratio"),
        ("static, answered as a whole: p99, ms; over continuous", "whole_p99",
         "whole_p99_ratio"),
        (f"{OVERLOAD} times capacity: answered/s; share of capacity", "overload_goodput",
         "overload_goodput_ratio"),
        ("the same: p99 of the accepted, ms; over usual", "overload_p99", "overload_p99_ratio"),
        ("the same: p95 of the refused, ms", "overload_refused_p95", None),
        ("the same: processors that the service takes", "overload_processors_service", None),
        ("the same: processors that the client takes", "overload_processors_load", None),
    ]  # fmt: skip
    print(f"{'':55}{'figure':>10}{'ratio':>8}")
    for label, figure, ratio in rows:
        of = "" if ratio is None else f"{ratios[ratio]:8.2f}"
        print(f"{label:55}{found[figure]:10.2f}{of}")
    others = max(taken for name, taken in found.items() if name.endswith("processors_others"))
    print(f"{'processors that others took, at worst (should be 0)':55}{others:10.2f}")
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
    parser.add_argument("--port", type=int, default=8240, help="and the three behind it")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    loads = Loads(options)
    asyncio.run(loads.run())
    report(loads.found, as_json=options.json)


if __name__ == "__main__":
    main()
