"""Where the time of decoding goes, and how far that is from what the processor could do.

`python -m benchmarks.time_shares [--beam N] [--batch N] [--sentences N] [--json]`, on one
thread, with the networks and sentences of `benchmarks.decode`. The bound is `--peak`, in G/s of
bfloat16 products of one core, or else the fastest product that is found here.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch

import model.search
from benchmarks import workload
from benchmarks.workload import EMBEDDING, EOS, PAD, TARGET_LENGTH, UNITS, VOCABULARY
from model.alignment_head import AlignmentHead
from model.batch import pad_sentences
from model.config import ModelConfig
from model.fast_attention import FastAttention
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.packed import PackedLinear
from model.search import beam_search
from model.seq2seq import Seq2Seq
from training.memory import keep_freed_memory

PARTS = ("products", "output layer", "attention", "ranking the vocabulary", "rest of the network")


class Clock:
    """Processor time by part; what is timed inside of a part is taken from it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.products = 0.0
        """Multiplications and additions of packed products."""
        self._inner = [0.0]

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time counted as `part`."""

        def run(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.thread_time() - began
                self.seconds[part] += spent - self._inner.pop()
                self._inner[-1] += spent

        return run


def watch(network: FastSeq2Seq, clock: Clock) -> None:
    """Have every part report to the clock."""
    product = PackedLinear.__call__
    outputs = network._output

    def counted(layer: PackedLinear, x: torch.Tensor) -> torch.Tensor:
        part = "output layer" if layer is outputs else "products"
        y = clock.timed(part, product)(layer, x)
        clock.products += 2.0 * x.shape[0] * x.shape[1] * y.shape[1]
        return y

    PackedLinear.__call__ = counted
    FastAttention.__call__ = clock.timed("attention", FastAttention.__call__)
    for name in ("encode", "step"):
        setattr(FastSeq2Seq, name, clock.timed(PARTS[-1], getattr(FastSeq2Seq, name)))
    model.search.candidates = clock.timed("ranking the vocabulary", model.search.candidates)


def endless_network(head_units: int = 0, refinement_channels: int = 0) -> FastSeq2Seq:
    """Random weights, and no sentence that ends before its longest length.

    With `head_units`, it has an alignment head of that width, with or without refinement.
    """
    torch.manual_seed(1)
    config = ModelConfig(
        source_vocabulary_size=VOCABULARY,
        target_vocabulary_size=VOCABULARY,
        embedding_size=EMBEDDING,
        encoder_units=UNITS,
        decoder_units=UNITS,
        attention_units=UNITS,
    )
    network = Seq2Seq(config).eval()
    with torch.no_grad():
        network.output.bias[EOS] = -1e4
    head = AlignmentHead(config, head_units, refinement_channels).eval() if head_units else None
    return FastSeq2Seq(network, head=head)


def fastest_product() -> float:
    """G/s of the fastest packed product of those that decoding has, on one thread."""
    rates = []
    for inputs, outputs in ((512, 2048), (1024, 2048), (512, 8000)):
        layer = PackedLinear(torch.randn(outputs, inputs) / 32, None, torch.bfloat16)
        x = torch.randn(320, inputs, dtype=torch.bfloat16)
        for _ in range(20):
            began = time.thread_time()
            layer(x)
            rates.append(2e-9 * 320 * inputs * outputs / (time.thread_time() - began))
    return max(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sentences", type=int, default=512)
    parser.add_argument("--peak", type=float, help="G/s of one core")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    network, clock = endless_network(), Clock()
    order = sorted(workload.sentences(options.sentences), key=len)
    batches = [order[at : at + options.batch] for at in range(0, len(order), options.batch)]
    search = SearchOptions(beam_size=options.beam, max_length=TARGET_LENGTH)

    def decode() -> None:
        for batch in batches:
            beam_search(network, pad_sentences(batch, PAD), search)

    with torch.inference_mode():
        peak = options.peak or fastest_product()
        decode()
        began = time.thread_time()
        decode()
        total = time.thread_time() - began
        watch(network, clock)
        decode()
    report(clock, total, peak, options)


def report(clock: Clock, total: float, peak: float, options: argparse.Namespace) -> None:
    """The table, and with `--json` one object on the last line."""
    watched = {part: clock.seconds[part] for part in PARTS}
    # Watching costs time of its own, so shares are of the run that was not watched.
    shares = {part: seconds / total for part, seconds in watched.items()}
    shares["search"] = max(0.0, 1.0 - sum(shares.values()))
    bound = clock.products / (1e9 * peak)
    rate = options.sentences / total
    print(f"{options.sentences} sentences, beam {options.beam}, {options.batch} side by side")
    print(f"{rate:.1f} sentences/s, {1000 / rate:.2f} ms each")
    for part, share in shares.items():
        print(f"{part:26}{100 * share:7.1f} %")
    print(f"share of the bound, products alone at {peak:.0f} G/s: {100 * bound / total:.1f} %")
    if options.json:
        rate = options.sentences / total
        print(
            json.dumps({"shares": shares, "bound_share": bound / total, "peak": peak, "rate": rate})
        )


if __name__ == "__main__":
    main()
