"""Many sentences translated offline, in batches of like length."""

from collections.abc import Callable

import torch

from model.batch import pad_sentences
from model.hypothesis import SearchOptions
from model.search import beam_search
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer

ROWS = 64
"""Sentences translated side by side."""


def translate(
    model: Seq2Seq,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    sources: list[str],
    options: SearchOptions,
    device: torch.device,
    advance: Callable[[int], object] = lambda _: None,
) -> list[str]:
    """Best translations in the order of `sources`, decoded in batches of like length.

    `advance` hears how many sentences each batch finished, for a progress bar.
    """
    model.spelling = target_tokenizer.spelling
    ids = [[*source_tokenizer.encode(text), source_tokenizer.eos_id] for text in sources]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    translations = [""] * len(ids)
    for begin in range(0, len(order), ROWS):
        rows = order[begin : begin + ROWS]
        batch = pad_sentences([ids[row] for row in rows], source_tokenizer.pad_id)
        for row, hypotheses in zip(
            rows, beam_search(model, batch.to(device), options), strict=True
        ):
            translations[row] = target_tokenizer.decode(list(hypotheses[0].tokens))
        advance(len(rows))
    return translations
