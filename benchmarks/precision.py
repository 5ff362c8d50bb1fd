"""What serving in bfloat16 costs in quality: BLEU and attention beside float32, on real sentences.

`python -m benchmarks.precision --checkpoint FOLDER --pairs FILE [--sentences N] [--json]`;
`--pairs` is a file of source and target, separated by a tab. Both precisions search by themselves
for BLEU; attention is compared where they found the same tokens.
"""

import argparse
import json
from pathlib import Path

import sacrebleu
import torch

from model.batch import pad_sentences
from model.checkpoint import Checkpoint, load_checkpoint
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import Hypothesis, SearchOptions
from model.search import beam_search

BATCH = 64


def translate(
    network: FastSeq2Seq, ids: list[list[int]], pad_id: int, beam: int
) -> list[Hypothesis]:
    """The best hypothesis of each sentence."""
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    best: dict[int, Hypothesis] = {}
    for at in range(0, len(order), BATCH):
        part = order[at : at + BATCH]
        batch = pad_sentences([ids[index] for index in part], pad_id)
        for index, found in zip(
            part, beam_search(network, batch, SearchOptions(beam_size=beam)), strict=True
        ):
            best[index] = found[0]
    return [best[index] for index in range(len(ids))]


def bleu(checkpoint: Checkpoint, found: list[Hypothesis], references: list[str]) -> float:
    """BLEU of the texts."""
    tokens = [one.tokens[:-1] if one.finished else one.tokens for one in found]
    texts = [checkpoint.target_tokenizer.decode_with_spans(ids).text for ids in tokens]
    score: float = sacrebleu.corpus_bleu(texts, [references]).score
    return score


def compare(checkpoint: Checkpoint, pairs: list[list[str]], beam: int) -> dict[str, float]:
    """All figures."""
    tokenizer = checkpoint.source_tokenizer
    ids = [[*tokenizer.encode(source), tokenizer.eos_id] for source, _ in pairs]
    references = [target for _, target in pairs]
    exact, rounded = (
        translate(FastSeq2Seq(checkpoint.model, dtype), ids, tokenizer.pad_id, beam)
        for dtype in (torch.float32, torch.bfloat16)
    )
    same = [(a, b) for a, b in zip(exact, rounded, strict=True) if a.tokens == b.tokens]
    weights = torch.cat([(a.weights - b.weights).abs().flatten() for a, b in same])
    rows = torch.cat([(a.weights - b.weights).abs().amax(dim=1) for a, b in same])
    figures = {
        "sentences": float(len(pairs)),
        "bleu_float32": bleu(checkpoint, exact, references),
        "bleu_bfloat16": bleu(checkpoint, rounded, references),
        "same_tokens": len(same) / len(pairs),
        "weights_p99": float(weights.sort().values[int(0.99 * (len(weights) - 1))]),
        "largest_of_a_row_p99": float(rows.sort().values[int(0.99 * (len(rows) - 1))]),
    }
    return figures | {"bleu_difference": figures["bleu_bfloat16"] - figures["bleu_float32"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lines = options.pairs.read_text("utf-8").splitlines()[: options.sentences]
    pairs = [line.split("\t")[:2] for line in lines]
    with torch.inference_mode():
        figures = compare(load_checkpoint(options.checkpoint), pairs, options.beam)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24}{value:12.4f}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
