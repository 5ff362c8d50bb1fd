"""Attention measured against word alignments that people made (Och & Ney 2003)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from model.alignment import (
    AlignmentKind,
    AlignmentScores,
    GoldLinks,
    Pair,
    agreed_links,
    alignment_error_rate,
    links,
    piece_alignment,
    regrouped,
    word_alignment,
)
from model.alignment_head import AlignmentHead, forced_head_weights
from model.batch import pad_sentences
from model.forced import forced
from model.pharaoh import from_pharaoh
from model.seq2seq import Seq2Seq
from model.tokenizer import Encoded, Tokenizer
from model.words import group_pieces, tokens_at
from training.aligner import white_space_words
from training.translation import ROWS

Rule = Literal["argmax", "threshold", "links", "agreement", "both_directions"]
"""`argmax`: the heaviest source word of each target word; of a head, none where it chooses EOS.
`threshold`: every weight that reaches
it, and nothing else. `links`: both together, which is what the service links attention by.
`agreement`: every pair whose agreement reaches the threshold, which is what it links a head by.
`both_directions`: the same of two heads, the other one that of a model of the opposite direction;
not moved, since two models are not out of step together."""

THRESHOLDS = tuple(number / 20 for number in range(2, 19))
SHIFTS = (-1, 0, 1)
"""How many tokens further on the row of a target token is taken from. Any but 0 must score worse;
if not, weights and tokens are out of step, the classical mistake of attention alignments."""
FILES = ("src.txt", "tgt.txt", "gold.txt")


class GoldError(ValueError):
    """A folder of gold alignments that cannot be used; names file and line."""


@dataclass(frozen=True, slots=True)
class GoldSentence:
    """A sentence pair, tokenised by white space, and what annotators linked in it."""

    source: str
    target: str
    links: GoldLinks


@dataclass(frozen=True, slots=True)
class AlignmentRow:
    """Scores of one way to turn weights into links."""

    rule: Rule
    threshold: float | None
    """None for `argmax`."""
    shift: int
    scores: AlignmentScores


@dataclass(frozen=True, slots=True)
class WordWeights:
    """The weights of one sentence between words, for each shift."""

    weights: dict[int, Float[Tensor, "T S"]]
    source_words: tuple[tuple[int, ...], ...]
    """Which white-space words each column stands for; nearly always one."""
    target_words: tuple[tuple[int, ...], ...]
    eos: dict[int, Float[Tensor, " T"]] | None = None
    """What each row put on EOS, from an alignment head alone: it links no word that chooses EOS."""
    opposite: Float[Tensor, "S T"] | None = None
    """Weights of a model of the opposite direction between the same words."""

    def beside(self, opposite: "WordWeights") -> "WordWeights":
        """These with those of a model that read the pair the other way round."""
        rows = _touching(self.source_words, opposite.target_words)
        columns = _touching(self.target_words, opposite.source_words)
        return replace(self, opposite=regrouped(opposite.weights[0], rows, columns))


def read_gold(folder: Path, *, reverse: bool = False) -> list[GoldSentence]:
    """Read `src.txt`, `tgt.txt` and `gold.txt`; `reverse` swaps the sides.

    A line of `gold.txt` holds zero-based word indices, `i-j` for a sure link and `ipj` for a
    possible one. Raises GoldError naming file and line.
    """
    source, target, gold = (_lines(folder / name) for name in FILES)
    if not len(source) == len(target) == len(gold):
        counts = ", ".join(
            f"{name} {len(lines)}"
            for name, lines in zip(FILES, (source, target, gold), strict=True)
        )
        raise GoldError(f"{folder}: the files differ in lines: {counts}")
    sentences = []
    for number, (one, other, line) in enumerate(zip(source, target, gold, strict=True), start=1):
        try:
            gold_links = from_pharaoh(line)
            _check_range(gold_links, len(one.split()), len(other.split()))
        except ValueError as error:
            raise GoldError(f"{folder / FILES[2]}:{number}: {error}") from error
        sentence = GoldSentence(one, other, gold_links)
        sentences.append(swapped(sentence) if reverse else sentence)
    if not any(sentence.links.possible for sentence in sentences):
        raise GoldError(f"{folder / FILES[2]}: no link in it, so there is nothing to measure by")
    return sentences


def word_weights(
    model: Seq2Seq,
    source_tokenizer: Tokenizer,
    target_tokenizer: Tokenizer,
    sentences: Sequence[GoldSentence],
    head: AlignmentHead | None = None,
) -> Iterator[WordWeights]:
    """Attention of the gold targets under teacher forcing, merged from pieces to words.

    Of `head` where it is given. In the order of `sentences`, computed where `model` is. Raises
    ValueError if the model has no attention.
    """
    if model.config.attention == "none":
        raise ValueError("the model has no attention, so there is nothing to align with")
    device = next(model.parameters()).device
    for begin in range(0, len(sentences), ROWS):
        batch = sentences[begin : begin + ROWS]
        sources = [source_tokenizer.encode_with_spans(pair.source) for pair in batch]
        targets = [target_tokenizer.encode_with_spans(pair.target) for pair in batch]
        padded = pad_sentences(_ended(sources, source_tokenizer), source_tokenizer.pad_id)
        padded, ended = padded.to(device), _ended(targets, target_tokenizer)
        weights = (
            [hypothesis.weights for hypothesis in forced(model, padded, ended)]
            if head is None
            else forced_head_weights(model, head, padded, ended)
        )
        kind: AlignmentKind = "attention" if head is None else "head"
        for pair, source, target, rows in zip(batch, sources, targets, weights, strict=True):
            yield _merged(pair, source, target, rows, kind)


def whose_row(shift: int) -> str:
    """Which row a token has at a shift of one, in words."""
    return f"the token {'after' if shift > 0 else 'before'} it"


def shifted(weights: Float[Tensor, "T S"], shift: int) -> Float[Tensor, "T S"]:
    """Give target token i the row of token i + shift; the rows at the rim are repeated."""
    last = weights.shape[0] - 1
    return weights[(torch.arange(last + 1) + shift).clamp(0, last)]


def score_alignments(
    sentences: Sequence[GoldSentence], weights: Sequence[WordWeights]
) -> list[AlignmentRow]:
    """Score every rule, threshold and shift over all sentences."""
    gold = [sentence.links for sentence in sentences]
    rows = []
    for shift in SHIFTS:
        heaviest = [_in_words(_argmax(item, shift), item) for item in weights]
        rows.append(AlignmentRow("argmax", None, shift, alignment_error_rate(heaviest, gold)))
        for threshold in THRESHOLDS:
            above = [_in_words(_above(item.weights[shift], threshold), item) for item in weights]
            both = [one | other for one, other in zip(heaviest, above, strict=True)]
            rows += [
                AlignmentRow("threshold", threshold, shift, alignment_error_rate(above, gold)),
                AlignmentRow("links", threshold, shift, alignment_error_rate(both, gold)),
            ]
            if all(item.eos is not None for item in weights):
                agreed = [_in_words(_agreed(item, shift, threshold), item) for item in weights]
                scores = alignment_error_rate(agreed, gold)
                rows.append(AlignmentRow("agreement", threshold, shift, scores))
            if shift == 0 and all(item.opposite is not None for item in weights):
                agreed = [
                    _in_words(_agreed(item, 0, threshold, item.opposite), item) for item in weights
                ]
                scores = alignment_error_rate(agreed, gold)
                rows.append(AlignmentRow("both_directions", threshold, 0, scores))
    return rows


def best_row(rows: Sequence[AlignmentRow], shift: int = 0) -> AlignmentRow:
    """The row of this shift with the lowest error; the earliest of equals."""
    return min((row for row in rows if row.shift == shift), key=lambda row: row.scores.aer)


def best_shift(rows: Sequence[AlignmentRow]) -> int:
    """The shift whose best row has the lowest error; 0 unless weights are out of step."""
    return min(SHIFTS, key=lambda shift: (best_row(rows, shift).scores.aer, abs(shift)))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = f"{error.strerror or error}; a folder of gold links holds {', '.join(FILES)}"
        raise GoldError(f"{path}: {reason}") from error
    except UnicodeDecodeError as error:
        raise GoldError(f"{path}: {error}") from error
    return text.removesuffix("\n").split("\n")


def _check_range(gold: GoldLinks, source_words: int, target_words: int) -> None:
    for source, target in sorted(gold.possible):
        if source >= source_words or target >= target_words:
            raise ValueError(
                f"link {source}-{target} lies outside the {source_words} source and "
                f"{target_words} target words"
            )


def swapped(sentence: GoldSentence) -> GoldSentence:
    """The same pair and links for the opposite direction."""
    sure, possible = (
        frozenset((target, source) for source, target in pairs)
        for pairs in (sentence.links.sure, sentence.links.possible)
    )
    return GoldSentence(sentence.target, sentence.source, GoldLinks(sure, possible))


def _ended(sentences: Sequence[Encoded], tokenizer: Tokenizer) -> list[list[int]]:
    return [[*sentence.ids, tokenizer.eos_id] for sentence in sentences]


def _merged(
    pair: GoldSentence,
    source: Encoded,
    target: Encoded,
    weights: Float[Tensor, "T S"],
    kind: AlignmentKind,
) -> WordWeights:
    columns = group_pieces(pair.source, white_space_words(pair.source), source.spans)
    rows = group_pieces(pair.target, white_space_words(pair.target), target.spans)
    source_pieces = tokens_at(pair.source, source.spans)
    target_pieces = tokens_at(pair.target, target.spans)
    by_shift, eos = {}, {}
    for shift in SHIFTS:
        pieces = piece_alignment(shifted(weights, shift), source_pieces, target_pieces, kind)
        merged = word_alignment(pieces, columns, rows)
        by_shift[shift], eos[shift] = merged.weights, merged.eos
    return WordWeights(
        by_shift,
        tuple(group.words for group in columns),
        tuple(group.words for group in rows),
        eos if kind == "head" else None,
    )


def _argmax(item: WordWeights, shift: int) -> set[Pair]:
    eos = None if item.eos is None else item.eos[shift]
    return {(link.source, link.target) for link in links(item.weights[shift], eos=eos)}


def _agreed(
    item: WordWeights,
    shift: int,
    threshold: float,
    opposite: Float[Tensor, "S T"] | None = None,
) -> set[Pair]:
    found = agreed_links(item.weights[shift], threshold, opposite)
    return {(link.source, link.target) for link in found}


def _touching(
    groups: Sequence[tuple[int, ...]], others: Sequence[tuple[int, ...]]
) -> list[list[int]]:
    """Which of `others` have a word in common with each of `groups`."""
    holder = {word: index for index, words in enumerate(others) for word in words}
    return [sorted({holder[word] for word in words if word in holder}) for words in groups]


def _above(weights: Float[Tensor, "T S"], threshold: float) -> set[Pair]:
    return {(source, target) for target, source in (weights >= threshold).nonzero().tolist()}


def _in_words(pairs: set[Pair], item: WordWeights) -> set[Pair]:
    return {
        pair
        for source, target in pairs
        for pair in product(item.source_words[source], item.target_words[target])
    }
