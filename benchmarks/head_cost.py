"""What the alignment head adds to translating: processor time of a target token with and without.

`python -m benchmarks.head_cost [--rounds N] [--units N] [--channels N] [--json]`, on one thread,
with the network and sentences of `benchmarks.decode` and a head of random weights. With and without
take turns batch by batch; figures are medians of the rounds. The head looks back once a hypothesis
is done: its cost is spread over the steps.
"""

import argparse
import json
import time
from statistics import median

import torch

from benchmarks import workload
from benchmarks.time_shares import endless_network
from benchmarks.workload import TARGET_LENGTH
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import BeamSearch
from model.search_events import SearchRequest
from training.config import HeadTrainingConfig
from training.memory import keep_freed_memory

SETTINGS = ((1, 1), (1, 5), (64, 1), (64, 5))
"""Sentences side by side, and hypotheses of each."""
SENTENCES = 128
"""In a round; of single ones an eighth."""


def seconds(model: FastSeq2Seq, sentences: list[list[int]], beam: int, *, head: bool) -> float:
    """Processor time of translating these, side by side."""
    options = SearchOptions(beam_size=beam, max_length=TARGET_LENGTH)
    requests = [SearchRequest(tuple(ids), options, head=head) for ids in sentences]
    began = time.thread_time()
    search = BeamSearch(model)
    search.admit(requests)
    while len(search):
        search.step()
    return time.thread_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--units", type=int, default=HeadTrainingConfig().units)
    parser.add_argument(
        "--channels",
        type=int,
        default=HeadTrainingConfig().refinement_channels,
        help="of the head's refinement; 0 for a head without",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    model = endless_network(options.units, options.channels)
    sentences = sorted(workload.sentences(SENTENCES), key=len)
    figures: dict[str, float] = {}
    print(f"{'side by side, beam':20}{'without':>10}{'with':>10}{'more':>8}   (µs a target token)")
    for batch, beam in SETTINGS:
        chosen = sentences if batch > 1 else sentences[::8]
        batches = [chosen[at : at + batch] for at in range(0, len(chosen), batch)]
        costs: dict[bool, list[float]] = {False: [], True: []}
        for turn in range(options.rounds + 1):  # the first pays for kernels and memory
            spent = {False: 0.0, True: 0.0}
            for part in batches:
                for head in (False, True):
                    spent[head] += seconds(model, part, beam, head=head)
            if turn:
                for head, total in spent.items():
                    costs[head].append(1e6 * total / (len(chosen) * TARGET_LENGTH))
        without, together = median(costs[False]), median(costs[True])
        figures |= {f"without_{batch}_{beam}": without, f"with_{batch}_{beam}": together}
        share = together / without - 1
        print(f"{f'{batch}, {beam}':20}{without:10.0f}{together:10.0f}{share:8.1%}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
