"""What is measured between updates: loss over all validation pairs, translations of some."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from model.hypothesis import SearchOptions
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.batches import TrainingBatch, collate
from training.config import TrainingConfig
from training.gold import (
    AlignmentRow,
    best_row,
    best_shift,
    read_gold,
    score_alignments,
    word_weights,
)
from training.loss import label_smoothed_cross_entropy
from training.metrics import TranslationScores, perplexity, score_translations
from training.precision import Placement
from training.prepare import Prepared
from training.translation import ROWS, translate


@dataclass(frozen=True, slots=True)
class Sample:
    """One sentence as a person would look at it."""

    source: str
    reference: str
    translation: str


@dataclass(frozen=True, slots=True)
class Validation:
    """The figures of one validation."""

    loss: float
    """Mean negative log-likelihood of a target token, in nats, without label smoothing."""
    scores: TranslationScores
    samples: tuple[Sample, ...]
    alignment: AlignmentRow | None = None
    """The best way to make links from attention, where gold alignments are configured."""
    alignment_shift: int = 0
    """The shift of the attention that fits the gold alignments best; anything but 0 is a defect."""

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return perplexity(self.loss)


class Validator:
    """Measures a network on the validation pairs of one prepared corpus.

    Raises GoldError, before any training, if a configured gold folder cannot be read.
    """

    def __init__(self, config: TrainingConfig, prepared: Prepared, placement: Placement) -> None:
        self._config = config
        self._prepared = prepared
        self._placement = placement
        self._source = Tokenizer(prepared.source_spm)
        self._target = Tokenizer(prepared.target_spm)
        self._gold = [
            sentence
            for folder in config.validation.gold_align
            for sentence in read_gold(folder, reverse=config.data.reverse)
        ]

    @torch.no_grad()
    def __call__(self, model: Seq2Seq) -> Validation:
        """Loss over all pairs; BLEU, chrF and samples of the first `validation.max_pairs`; AER."""
        training = model.training
        model.eval()
        try:
            pairs = self._prepared.validation_pairs(self._config.validation.max_pairs)
            translations = self._translate(model, [pair.source for pair in pairs])
            references = [pair.target for pair in pairs]
            samples = tuple(
                Sample(pair.source, pair.target, translation)
                for pair, translation in zip(pairs, translations, strict=True)
            )
            rows = self._align(model)
            return Validation(
                self.loss(model),
                score_translations(translations, references, self._config.data.target_language),
                spread(samples, self._config.validation.samples),
                best_row(rows) if rows else None,
                best_shift(rows) if rows else 0,
            )
        finally:
            model.train(training)

    @torch.no_grad()
    def loss(self, model: Seq2Seq) -> float:
        """Mean negative log-likelihood of a target token over all pairs, without dropout."""
        training = model.training
        model.eval()
        total = torch.zeros((), dtype=torch.float64)
        tokens = 0
        for batch in self._batches():
            with self._placement.autocast():
                forced = model(batch.source.ids, batch.source.lengths, batch.inputs)
            sums = label_smoothed_cross_entropy(
                forced.logits, batch.targets, pad_id=self._config.model.pad_id, smoothing=0.0
            )
            total += sums.negative_log_likelihood.double().cpu()
            tokens += int(sums.tokens)
        model.train(training)
        return float(total) / tokens

    def _batches(self) -> Iterator[TrainingBatch]:
        dataset = self._prepared.validation
        order = np.argsort(dataset.source.lengths, kind="stable")
        config = self._config.model
        for begin in range(0, len(order), ROWS):
            rows = order[begin : begin + ROWS]
            batch = collate(dataset, rows, pad_id=config.pad_id, bos_id=config.bos_id)
            yield batch.to(self._placement.device)

    def _align(self, model: Seq2Seq) -> list[AlignmentRow]:
        weights = word_weights(model, self._source, self._target, self._gold)
        return score_alignments(self._gold, list(weights)) if self._gold else []

    def _translate(self, model: Seq2Seq, sources: list[str]) -> list[str]:
        options = SearchOptions(beam_size=self._config.validation.beam_size)
        return translate(
            model, self._source, self._target, sources, options, self._placement.device
        )


def spread(samples: tuple[Sample, ...], count: int) -> tuple[Sample, ...]:
    """`count` of the samples, evenly spaced, the same ones at every validation."""
    return samples[:: max(1, len(samples) // count)][:count] if count else ()
