"""Decoding speed beside Joey NMT 2.3.0: bulk throughput and the latency of one sentence.

`python -m benchmarks.decode [--rounds N] [--sentences N] [--json]`. Systems take turns within every
round; figures are medians. Each system is given the better of two modes: one process with a
thread on every core, and a process with one thread on every core. Same sizes (embedding 256, 512
units, 8,000 pieces), same sentences, 16 target tokens each; ours returns alignments, Joey NMT's
beam search has none to return.
"""

import argparse
import json
import os
from statistics import median

from benchmarks import workload
from benchmarks.workers import Worker

CORES = len(os.sched_getaffinity(0))


class System:
    """One system in both modes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wide = Worker(name, CORES)
        self.narrow = [Worker(name, 1) for _ in range(CORES)]

    def bulk(self, sentences: list[list[int]], beam: int) -> float:
        """Sentences per second in the better mode."""
        job = {"task": "decode", "batch": 64, "beam": beam}
        together = self.wide.run(job | {"sentences": sentences})["seconds"]
        for index, worker in enumerate(self.narrow):
            worker.start(job | {"sentences": sentences[index::CORES]})
        apart = max(worker.finish()["seconds"] for worker in self.narrow)
        return len(sentences) / min(together, apart)

    def latency(self, sentence: list[int], beam: int, repeats: int) -> float:
        """Median milliseconds for one sentence alone, the better of all cores and one."""
        job = {"task": "decode", "batch": 1, "beam": beam, "sentences": [sentence]}
        wide, narrow = (
            median(worker.run(job)["seconds"] for _ in range(repeats))
            for worker in (self.wide, self.narrow[0])
        )
        return 1000 * min(wide, narrow)

    def close(self) -> None:
        for worker in (self.wide, *self.narrow):
            worker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=20, help="of the single sentence")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sentences, single = workload.sentences(options.sentences), workload.sentence(15)
    systems = [System("softalign"), System("joey")]
    figures: dict[str, list[float]] = {}
    try:
        for system in systems:  # the first batches pay for allocation and kernel choice
            for beam in (1, 5):
                system.bulk(sentences[:128], beam)
                system.latency(single, beam, 3)
        for _ in range(options.rounds):
            for beam in (1, 5):
                for system in systems:
                    key = f"{system.name}_beam{beam}"
                    figures.setdefault(key + "_per_second", []).append(system.bulk(sentences, beam))
                    latency = system.latency(single, beam, options.repeats)
                    figures.setdefault(key + "_ms", []).append(latency)
    finally:
        for system in systems:
            system.close()
    report({name: median(values) for name, values in figures.items()}, as_json=options.json)


def report(figure: dict[str, float], *, as_json: bool) -> None:
    """The table, and with `as_json` one object on the last line."""
    rows = {
        "greedy_ratio": ("bulk, greedy, sentences/s", "beam1_per_second", False),
        "beam5_ratio": ("bulk, beam 5, sentences/s", "beam5_per_second", False),
        "latency_ratio": ("one sentence, greedy, ms", "beam1_ms", True),
        "latency_beam5_ratio": ("one sentence, beam 5, ms", "beam5_ms", True),
    }
    ratios = {}
    print(f"{'':28}{'Softalign':>12}{'Joey NMT':>12}{'ratio':>9}")
    for name, (label, key, lower_is_better) in rows.items():
        ours, theirs = figure[f"softalign_{key}"], figure[f"joey_{key}"]
        ratios[name] = theirs / ours if lower_is_better else ours / theirs
        print(f"{label:28}{ours:12.1f}{theirs:12.1f}{ratios[name]:8.1f}×")
    if as_json:
        print(json.dumps({**ratios, **figure, "cores": CORES}))


if __name__ == "__main__":
    main()
