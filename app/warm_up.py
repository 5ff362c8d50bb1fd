"""Runs a new model until nothing is slow for being new, and measures what its steps take.

Kernels are compiled for each number of rows that products are made with: without a warm-up the
first step, and the first encoding, of every size is slower than the rest, and serving meets every
size.
"""

import time
from typing import Any

import torch

from app.models import LoadedModel, StartupError
from app.pace import Pace
from app.supervisor import Network
from model.batch import pad_sentences
from model.hypothesis import SearchOptions
from model.packed import kernel_rows
from model.search import SearchError, beam_search

PIECES = 12
"""Of the sentence that is translated."""

USUAL_ROWS = 64
"""The most rows that are tried where nobody says how many there may be."""

TIMED_SIZES = (1, 8, 64)
"""Rows of which steps are measured, and the most rows that there may be."""
TIMED_STEPS = 5


def warm_up(
    model: LoadedModel, network: Network, pace: Pace | None = None, max_rows: int = USUAL_ROWS
) -> None:
    """Translate nonsense with tables of every size, and tell `pace` how long the steps took.

    Raises:
        StartupError: the network gives no finite probability, or cannot be run at all.
    """
    eos = model.checkpoint.source_tokenizer.eos_id
    pieces = [index % network.config.source_vocabulary_size for index in range(PIECES)]
    sentence = [*pieces, eos]
    try:
        options = SearchOptions(beam_size=1, max_length=3)
        beam_search(network, pad_sentences([sentence], network.config.pad_id), options)
        for size in sizes(max_rows):
            _encode(network, sentence, size)  # as many as greedy search lets join at once
            _step(network, sentence, size)
        if pace is not None:
            timed = sorted({min(rows, max_rows) for rows in (*TIMED_SIZES, max_rows)})
            seconds = {rows: _least_seconds(network, sentence, rows) for rows in timed}
            pace.calibrate(model.identity, seconds)
    except (SearchError, RuntimeError, IndexError) as error:
        raise StartupError(f"the model {model.name} does not run: {error}") from error


def sizes(max_rows: int) -> list[int]:
    """The numbers of rows that are tried: one for every kernel."""
    return sorted({kernel_rows(rows): rows for rows in range(1, max_rows + 1)}.values())


def _step(network: Network, sentence: list[int], rows: int) -> float:
    """Make one step of so many rows, hypotheses of several sentences; gives its seconds."""
    sentences = max(1, rows // 4)
    memory, state = _encode(network, sentence, sentences)
    with torch.inference_mode():
        owners = torch.arange(rows) * sentences // rows
        inputs = torch.full((rows,), network.config.bos_id, device=state.device)
        attended, states = memory.select(owners), state[owners]
        began = time.monotonic()
        step = network.step(inputs, states, attended)
        step.logits[0, 0].item()  # a GPU works on its own; whoever reads a number waits for it
        return time.monotonic() - began


def _encode(network: Network, sentence: list[int], sentences: int) -> tuple[Any, torch.Tensor]:
    """Read so many sentences at once; gives their memory and first states."""
    batch = pad_sentences([sentence] * sentences, network.config.pad_id)
    with torch.inference_mode():
        return network.encode(batch.ids, batch.lengths)


def _least_seconds(network: Network, sentence: list[int], rows: int) -> float:
    """The least of several steps: whatever else the machine does can only add to it."""
    return min(_step(network, sentence, rows) for _ in range(TIMED_STEPS))
