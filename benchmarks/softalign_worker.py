"""Our network at the same sizes: the served search, and the trainer's own update."""

import sys
import time
from pathlib import Path

import numpy as np
import torch

from app.collector import set_imports_aside
from benchmarks.workers import serve
from benchmarks.workload import BOS, EMBEDDING, EOS, PAD, TARGET_LENGTH, UNITS, VOCABULARY
from model.batch import pad_sentences
from model.config import ModelConfig
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import beam_search
from model.seq2seq import Seq2Seq
from training.batches import collate
from training.config import CleaningConfig, DataConfig, TrainerConfig, TrainingConfig
from training.dataset import ParallelDataset, TokenArray
from training.memory import keep_freed_memory
from training.precision import place
from training.prepare import Prepared
from training.trainer import Trainer

threads, device = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(threads)
keep_freed_memory()
set_imports_aside()

CONFIG = ModelConfig(
    source_vocabulary_size=VOCABULARY,
    target_vocabulary_size=VOCABULARY,
    embedding_size=EMBEDDING,
    encoder_units=UNITS,
    decoder_units=UNITS,
    attention_units=UNITS,
    dropout=0.3,
)


def endless() -> FastSeq2Seq:
    torch.manual_seed(1)
    network = Seq2Seq(CONFIG).eval()
    with torch.no_grad():
        network.output.bias[EOS] = -1e4
    return FastSeq2Seq(network)


def token_array(rows: list[list[int]]) -> TokenArray:
    offsets = np.cumsum([0, *map(len, rows)])
    return TokenArray(np.array([i for row in rows for i in row], np.uint16), offsets)


def dataset(batch: dict[str, list[list[int]]]) -> ParallelDataset:
    return ParallelDataset(token_array(batch["source"]), token_array(batch["target"]))


def learner() -> Trainer:
    nowhere = Path()
    empty = dataset({"source": [[EOS]], "target": [[EOS]]})
    data = DataConfig(
        train=(nowhere,), validation=(nowhere,), source_language="a", target_language="b"
    )
    # Batches come from outside; with no budget they are padded to no more rows than they have.
    settings = TrainerConfig(
        max_steps=10**6, threads=threads, cuda_graphs=device == "cuda", max_batch_tokens=2
    )
    config = TrainingConfig(
        run=nowhere,
        data=data,
        cleaning=CleaningConfig(max_pieces=1),
        model=CONFIG,
        training=settings,
    )
    prepared = Prepared(nowhere, empty, empty, b"", b"", {}, "", {})
    return Trainer(config, prepared, place(device, "auto"))


fast = endless()
trainer = learner()


def decode(sentences: list[list[int]], batch: int, beam: int) -> dict[str, float]:
    order = sorted(sentences, key=len)
    options = SearchOptions(beam_size=beam, max_length=TARGET_LENGTH)
    started = time.perf_counter()
    with torch.inference_mode():
        for begin in range(0, len(order), batch):
            beam_search(fast, pad_sentences(order[begin : begin + batch], PAD), options)
    return {"seconds": time.perf_counter() - started}


def train(source: list[list[int]], target: list[list[int]]) -> dict[str, float]:
    corpus = dataset({"source": source, "target": target})
    started = time.perf_counter()
    rows = np.arange(len(source))
    trainer.learn(collate(corpus, rows, pad_id=PAD, bos_id=BOS))
    if device == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - started}


serve({"decode": decode, "train": train})
