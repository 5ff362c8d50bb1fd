"""Training speed beside Joey NMT 2.3.0: target tokens per second of whole updates.

`python -m benchmarks.train [--device cpu|cuda] [--rounds N] [--json]`. Forward, backward, clipping
and optimiser on the same batches, dropout 0.3, label smoothing 0.1; systems take turns batch by
batch, figures are medians. Ours is the trainer's own update, moving average included; on a GPU its
passes are recorded as CUDA graphs, and every batch is run once before any is timed.
"""

import argparse
import json
import os
from statistics import median

import torch

from benchmarks import workload
from benchmarks.workers import Worker

CORES = len(os.sched_getaffinity(0))
SIZES = {"cpu": (96, 192), "cuda": (256, 512, 1024)}
"""Pairs a batch; on a GPU about 4, 8 and 16 thousand target tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8, help="batches of each size")
    parser.add_argument("--device", choices=SIZES, default="cpu")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU here; --device cpu measures on this processor")
    workers = {name: Worker(name, CORES, options.device) for name in ("softalign", "joey")}
    figures: dict[str, float] = {"cores": CORES}
    print(f"{'pairs a batch':16}{'Softalign':>12}{'Joey NMT':>12}{'ratio':>9}   (target tokens/s)")
    try:
        for size in SIZES[options.device]:
            warm_up, *batches = workload.batches(options.rounds + 1, size)
            # A GPU's graphs are recorded when a shape is first met.
            unmeasured = [warm_up, *(batches if options.device == "cuda" else [])]
            rates: dict[str, list[float]] = {name: [] for name in workers}
            for worker in workers.values():
                for batch in unmeasured:
                    worker.run({"task": "train", **batch})
            for batch in batches:
                for name, worker in workers.items():
                    seconds = worker.run({"task": "train", **batch})["seconds"]
                    rates[name].append(workload.tokens(batch) / seconds)
            ours, theirs = median(rates["softalign"]), median(rates["joey"])
            figures |= {
                f"ratio_{size}": ours / theirs,
                f"softalign_{size}": ours,
                f"joey_{size}": theirs,
            }
            print(f"{size:<16}{ours:12,.0f}{theirs:12,.0f}{ours / theirs:8.2f}×")
    finally:
        for worker in workers.values():
            worker.close()
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
