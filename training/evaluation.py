"""Measures a finished checkpoint: translation scores, loss, and alignments against gold links."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress

from model.alignment_head import AlignmentHead
from model.batch import pad_sentences
from model.checkpoint import Checkpoint
from model.hypothesis import SearchOptions
from training.corpus import Pair
from training.gold import (
    AlignmentRow,
    GoldError,
    GoldSentence,
    WordWeights,
    best_row,
    best_shift,
    read_gold,
    score_alignments,
    swapped,
    word_weights,
)
from training.metrics import TranslationScores, perplexity, score_translations
from training.translation import ROWS, translate


@dataclass(frozen=True, slots=True)
class Translated:
    """One pair with what the model made of it."""

    pair: Pair
    translation: str
    log_prob: float
    """Of the reference, EOS included, in nats."""
    tokens: int
    """Tokens of the reference, EOS included."""


@dataclass(frozen=True, slots=True)
class CorpusScores:
    """The figures of some pairs."""

    sentences: int
    loss: float
    """Mean negative log-likelihood of a reference token, EOS included, in nats."""
    scores: TranslationScores

    def as_dict(self) -> dict[str, Any]:
        """Flat plain values."""
        return {
            "sentences": self.sentences,
            **asdict(self.scores),
            "loss": self.loss,
            "perplexity": perplexity(self.loss),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All figures of one evaluation."""

    overall: CorpusScores
    by_origin: dict[str, CorpusScores]
    """By the third column of the pairs; empty where there is none."""
    seconds: float
    """Time spent translating."""
    search: SearchOptions
    digest: str
    """Which checkpoint this was."""
    gold: dict[str, list[AlignmentRow]]
    """Every way to make links, by gold folder."""
    pooled_gold: list[AlignmentRow]
    """The same over the sentences of all folders; empty without any."""
    head_gold: dict[str, list[AlignmentRow]] = field(default_factory=dict)
    """As `gold`, of the alignment head; empty where the model has none."""
    pooled_head_gold: list[AlignmentRow] = field(default_factory=list)
    """As `pooled_gold`."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; see `docs/training.md`."""
        values = {
            **self.overall.as_dict(),
            "seconds": self.seconds,
            "beam_size": self.search.beam_size,
            "length_penalty": self.search.length_penalty,
            "coverage_penalty": self.search.coverage_penalty,
            "no_repeat_ngram_size": self.search.no_repeat_ngram_size,
            "checkpoint": self.digest,
        }
        if self.by_origin:
            values["by_origin"] = {
                origin: scores.as_dict() for origin, scores in self.by_origin.items()
            }
        kinds = {
            kind: _alignment_figures(pooled, gold)
            for kind, pooled, gold in (
                ("attention", self.pooled_gold, self.gold),
                ("head", self.pooled_head_gold, self.head_gold),
            )
            if pooled
        }
        if kinds:
            # The head is made to align words; where there is one, it speaks for the model.
            kind = "head" if "head" in kinds else "attention"
            values |= kinds[kind] | {"kind": kind} | kinds
        return values


def evaluate(
    checkpoint: Checkpoint,
    pairs: Sequence[Pair],
    gold_folders: Sequence[Path],
    *,
    search: SearchOptions,
    progress: Progress,
    reverse_gold: bool = False,
    opposite: Checkpoint | None = None,
) -> tuple[Evaluation, list[Translated]]:
    """Translate and score all pairs, then align and score all gold folders, where the model is.

    Gold folders are read first, so that a broken one costs no translation. `opposite` is a model
    of the opposite direction, whose alignment head is asked too. Raises GoldError, also where the
    model has no attention or a head is missing, and ValueError if there is no pair.
    """
    if opposite is not None:
        _check_opposite(checkpoint, opposite)
    gold = {str(folder): read_gold(folder, reverse=reverse_gold) for folder in gold_folders}
    if gold and checkpoint.manifest.config.attention == "none":
        raise GoldError("the model has no attention, so it cannot be held against gold links")
    started = time.perf_counter()
    translations = _translations(checkpoint, pairs, search, progress)
    seconds = time.perf_counter() - started
    translated = _with_likelihoods(checkpoint, pairs, translations, progress)
    attention = _score_gold(checkpoint, gold, None, progress)
    head = checkpoint.alignment_head
    head_scores = (
        _NOTHING if head is None else _score_gold(checkpoint, gold, head, progress, opposite)
    )
    evaluation = Evaluation(
        overall=_scores(translated, checkpoint.manifest.target_language),
        by_origin=_by_origin(translated, checkpoint.manifest.target_language),
        seconds=seconds,
        search=search,
        digest=checkpoint.digest,
        gold=attention.by_folder,
        pooled_gold=attention.pooled,
        head_gold=head_scores.by_folder,
        pooled_head_gold=head_scores.pooled,
    )
    return evaluation, translated


@dataclass(frozen=True, slots=True)
class GoldScores:
    """Every way to make links, scored on gold folders one by one and together."""

    by_folder: dict[str, list[AlignmentRow]]
    pooled: list[AlignmentRow]


_NOTHING = GoldScores({}, [])


def _score_gold(
    checkpoint: Checkpoint,
    gold: dict[str, list[GoldSentence]],
    head: AlignmentHead | None,
    progress: Progress,
    opposite: Checkpoint | None = None,
) -> GoldScores:
    if not gold:
        return _NOTHING
    weights = {
        folder: _word_weights(checkpoint, sentences, head, progress)
        for folder, sentences in gold.items()
    }
    if opposite is not None:
        for folder, sentences in gold.items():
            turned = [swapped(sentence) for sentence in sentences]
            others = _word_weights(opposite, turned, opposite.alignment_head, progress)
            weights[folder] = [
                one.beside(other) for one, other in zip(weights[folder], others, strict=True)
            ]
    pooled = score_alignments(
        list(chain.from_iterable(gold.values())), list(chain.from_iterable(weights.values()))
    )
    return GoldScores(
        {folder: score_alignments(gold[folder], weights[folder]) for folder in gold}, pooled
    )


def _word_weights(
    checkpoint: Checkpoint,
    sentences: Sequence[GoldSentence],
    head: AlignmentHead | None,
    progress: Progress,
) -> list[WordWeights]:
    made = word_weights(
        checkpoint.model,
        checkpoint.source_tokenizer,
        checkpoint.target_tokenizer,
        sentences,
        head,
    )
    return list(progress.track(made, len(sentences), description="Aligning"))


def _check_opposite(checkpoint: Checkpoint, opposite: Checkpoint) -> None:
    here, there = checkpoint.manifest, opposite.manifest
    if (there.source_language, there.target_language) != (
        here.target_language,
        here.source_language,
    ):
        raise GoldError(
            f"--opposite is a model from {there.source_language} to {there.target_language}; "
            f"wanted is one from {here.target_language} to {here.source_language}"
        )
    for model in (checkpoint, opposite):
        if model.alignment_head is None:
            raise GoldError(
                f"{model.manifest.name} has no alignment head, and --opposite compares two; "
                "`python -m training head` trains one"
            )


def _translations(
    checkpoint: Checkpoint, pairs: Sequence[Pair], search: SearchOptions, progress: Progress
) -> list[str]:
    task = progress.add_task("Translating", total=len(pairs))
    return translate(
        checkpoint.model,
        checkpoint.source_tokenizer,
        checkpoint.target_tokenizer,
        [pair.source for pair in pairs],
        search,
        checkpoint.device,
        advance=partial(progress.advance, task),
    )


@torch.inference_mode()
def _with_likelihoods(
    checkpoint: Checkpoint,
    pairs: Sequence[Pair],
    translations: Sequence[str],
    progress: Progress,
) -> list[Translated]:
    source, target = checkpoint.source_tokenizer, checkpoint.target_tokenizer
    device = checkpoint.device
    sources = [[*source.encode(pair.source), source.eos_id] for pair in pairs]
    targets = [[*target.encode(pair.target), target.eos_id] for pair in pairs]
    order = sorted(range(len(pairs)), key=lambda index: len(targets[index]))
    log_probs = [0.0] * len(pairs)
    task = progress.add_task("Scoring", total=len(pairs))
    for begin in range(0, len(order), ROWS):
        rows = order[begin : begin + ROWS]
        batch = pad_sentences([sources[row] for row in rows], source.pad_id).to(device)
        wanted = pad_sentences([targets[row] for row in rows], target.pad_id).ids.to(device)
        inputs = torch.cat([torch.full_like(wanted[:, :1], target.bos_id), wanted[:, :-1]], dim=1)
        logits = checkpoint.model(batch.ids, batch.lengths, inputs).logits
        token_log_probs = logits.log_softmax(-1).gather(-1, wanted[..., None])[..., 0]
        sums = (token_log_probs * (wanted != target.pad_id)).double().sum(dim=1).cpu()
        for row, log_prob in zip(rows, sums.tolist(), strict=True):
            log_probs[row] = log_prob
        progress.advance(task, len(rows))
    return [
        Translated(pair, translation, log_prob, len(ids))
        for pair, translation, log_prob, ids in zip(
            pairs, translations, log_probs, targets, strict=True
        )
    ]


def _scores(translated: Sequence[Translated], language: str) -> CorpusScores:
    scores = score_translations(
        [item.translation for item in translated],
        [item.pair.target for item in translated],
        language,
    )
    log_prob = sum(item.log_prob for item in translated)
    return CorpusScores(
        len(translated), -log_prob / sum(item.tokens for item in translated), scores
    )


def _by_origin(translated: Sequence[Translated], language: str) -> dict[str, CorpusScores]:
    origins = sorted({item.pair.origin for item in translated})
    if origins == [""]:
        return {}
    return {
        origin: _scores([item for item in translated if item.pair.origin == origin], language)
        for origin in origins
    }


def _alignment_figures(
    pooled: Sequence[AlignmentRow], by_folder: dict[str, list[AlignmentRow]]
) -> dict[str, Any]:
    folders = {
        folder: {**_alignment_summary(rows), "rows": list(map(_alignment_row, rows))}
        for folder, rows in by_folder.items()
    }
    return {**_alignment_summary(pooled), "gold": folders}


def _alignment_summary(rows: Sequence[AlignmentRow]) -> dict[str, Any]:
    """The best row at shift 0, but `shift` is the one that won: anything but 0 is a defect."""
    return _alignment_row(best_row(rows)) | {"shift": best_shift(rows)}


def _alignment_row(row: AlignmentRow) -> dict[str, Any]:
    return {
        "rule": row.rule,
        "threshold": row.threshold,
        "shift": row.shift,
        **{name: 100 * value for name, value in asdict(row.scores).items()},
    }
