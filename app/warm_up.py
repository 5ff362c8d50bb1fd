"""Runs a new model until nothing is slow for being new, and measures what its steps take.

Kernels are chosen, and their buffers made, for each number of rows: without a warm-up the first
step of every size is slower than the rest, and serving meets every size.
"""

import statistics
import time

import torch

from app.models import LoadedModel, StartupError
from app.pace import Pace
from app.supervisor import Network
from model.batch import pad_sentences
from model.hypothesis import SearchOptions
from model.search import SearchError, beam_search

PIECES = 12
"""Of the sentence that is translated."""

EVERY_SIZE_UP_TO = 64
SIZES_APART = 8
"""Beyond, every eighth number of rows: more kernels than that do not fit in the processor library's
cache, and they are a small part of so large a step."""

TIMED_SIZES = (1, 8, 64)
"""Rows of which steps are measured, and the most rows that there may be."""
TIMED_STEPS = 5


def warm_up(
    model: LoadedModel, network: Network, pace: Pace | None = None, max_rows: int = EVERY_SIZE_UP_TO
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
        for rows in sizes(max_rows):
            _step(network, sentence, rows)
        if pace is not None:
            timed = sorted({min(rows, max_rows) for rows in (*TIMED_SIZES, max_rows)})
            seconds = {rows: _typical_seconds(network, sentence, rows) for rows in timed}
            pace.calibrate(model.identity, seconds)
    except (SearchError, RuntimeError, IndexError) as error:
        raise StartupError(f"the model {model.name} does not run: {error}") from error


def sizes(max_rows: int) -> list[int]:
    """The numbers of rows that are tried."""
    every = range(1, min(EVERY_SIZE_UP_TO, max_rows) + 1)
    return [*every, *range(EVERY_SIZE_UP_TO + SIZES_APART, max_rows + 1, SIZES_APART)]


def _step(network: Network, sentence: list[int], rows: int) -> float:
    """Make one step of so many rows, hypotheses of several sentences; gives its seconds."""
    sentences = max(1, rows // 4)
    batch = pad_sentences([sentence] * sentences, network.config.pad_id)
    with torch.inference_mode():
        memory, state = network.encode(batch.ids, batch.lengths)
        owners = torch.arange(rows) * sentences // rows
        inputs = torch.full((rows,), network.config.bos_id)
        attended, states = memory.select(owners), state[owners]
        began = time.monotonic()
        network.step(inputs, states, attended)
        return time.monotonic() - began


def _typical_seconds(network: Network, sentence: list[int], rows: int) -> float:
    return statistics.median(_step(network, sentence, rows) for _ in range(TIMED_STEPS))
