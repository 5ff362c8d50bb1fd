"""Which source tokens made each target token: matrices, links, and their error rate.

Letters: T target tokens, S source tokens, both without EOS. Rows are target positions and columns
source positions. The rules are those of docs/api.md, "Alignment semantics".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.words import Token, WordPieces

AlignmentKind = Literal["attention", "head"]
"""`attention`: what the decoder weighed to make the token, before it was known.
`head`: what an alignment head weighed that has seen the emitted token."""
Level = Literal["word", "piece"]
LinkRule = Literal["weight", "agreement", "both_directions"]
"""What links are made from: each weight as it is, as far as both sides agree on it, or as far as
they do in this model and in one of the opposite direction."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """The weights of every target token over the source; a row plus its `eos` is one (±1e-4)."""

    kind: AlignmentKind
    level: Level
    source: tuple[Token, ...]
    """The S columns, in code points of the source text."""
    target: tuple[Token, ...]
    """The T rows, in code points of the translation."""
    weights: Float[Tensor, "T S"]
    """As the network gave them, never renormalised."""
    eos: Float[Tensor, " T"]
    """What each target token put on the source's EOS."""
    eos_row: Float[Tensor, " S_eos"] | None
    """Weights of the target's EOS over the source and, last, its EOS; None if it never came."""
    threshold: float | None = None
    """Agreement from which on pairs are linked where nobody names a weight; of a head, which is
    calibrated to it."""
    opposite: Float[Tensor, "S T"] | None = None
    """Weights of a model of the opposite direction, which wrote the source from the target, between
    the same tokens; where they are given, links are those on which both models agree."""

    def link_rule(self, threshold: float | None = None) -> LinkRule:
        """What `links` goes by: agreement where the alignment has its own threshold to use."""
        if threshold is not None or self.threshold is None:
            return "weight"
        return "agreement" if self.opposite is None else "both_directions"

    def links(self, threshold: float | None = None) -> "list[WordLink]":
        """Its links: by agreement from its own threshold on, or by weight where it has none.

        A `threshold` that is given is one of weights. By weight each token has its best link, but
        of the kind `head` a token that weighs the source's EOS more than any source token stands
        for nothing there, and has none.
        """
        if threshold is None and self.threshold is not None:
            return agreed_links(self.weights, self.threshold, self.opposite)
        return links(self.weights, threshold, self.eos if self.kind == "head" else None)

    def placed(self, source_start: int, target_start: int) -> "Alignment":
        """The same weights with every span moved from its segment into the document."""
        return replace(
            self,
            source=tuple(_moved(token, source_start) for token in self.source),
            target=tuple(_moved(token, target_start) for token in self.target),
        )


class WordLink(NamedTuple):
    """One target token linked to one source token, by zero-based indices."""

    source: int
    target: int
    weight: float


def piece_alignment(
    weights: Float[Tensor, "T_eos S_eos"],
    source: Sequence[Token],
    target: Sequence[Token],
    kind: AlignmentKind,
    threshold: float | None = None,
) -> Alignment:
    """Name the rows and columns of a hypothesis' weights by its pieces.

    `weights` has one column for each source piece and one for EOS; one row for each target piece
    and, if the hypothesis finished, one for EOS. `source` and `target` are without EOS.
    ValueError where the sizes disagree.
    """
    rows, columns = weights.shape
    finished = rows == len(target) + 1
    if columns != len(source) + 1 or not (finished or rows == len(target)):
        raise ValueError(
            f"weights are {rows} x {columns} for {len(target)} target and {len(source)} source "
            "pieces; expected one more column for EOS and at most one more row"
        )
    body = weights[: len(target)]
    return Alignment(
        kind=kind,
        level="piece",
        source=tuple(source),
        target=tuple(target),
        weights=body[:, :-1],
        eos=body[:, -1],
        eos_row=weights[-1] if finished else None,
        threshold=threshold,
    )


def word_alignment(
    pieces: Alignment, source: Sequence[WordPieces], target: Sequence[WordPieces]
) -> Alignment:
    """Merge pieces to words: columns of a word are summed, rows averaged, EOS likewise.

    So a row plus its `eos` stays one. `source` and `target` come from `model.words.group_pieces`;
    ValueError unless each piece of `pieces` is in exactly one group.
    """
    if pieces.level != "piece":
        raise ValueError(f"expected an alignment of pieces, got one of level {pieces.level!r}")
    columns = _group_of_piece(source, len(pieces.source), "source")
    rows = _group_of_piece(target, len(pieces.target), "target")
    eos_row = pieces.eos_row
    if eos_row is not None:
        eos_row = torch.cat(
            [_sum_columns(eos_row[None, :-1], columns, len(source))[0], eos_row[-1:]]
        )
    summed = _sum_columns(pieces.weights, columns, len(source))
    return Alignment(
        kind=pieces.kind,
        level="word",
        source=tuple(group.token for group in source),
        target=tuple(group.token for group in target),
        weights=_average_rows(summed, rows, len(target)),
        eos=_average_rows(pieces.eos[:, None], rows, len(target))[:, 0],
        eos_row=eos_row,
        threshold=pieces.threshold,
    )


def links(
    weights: Float[Tensor, "T S"],
    threshold: float | None = None,
    eos: Float[Tensor, " T"] | None = None,
) -> list[WordLink]:
    """The argmax of each row and every weight >= `threshold`, ordered by target, then source.

    Ties go to the lowest source index. `threshold` is a share of attention in [0, 1]; without one
    there is one link a row, or none where `eos` is given and exceeds every weight of the row.
    ValueError for a threshold outside.
    """
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}; it must be in [0, 1]")
    rows, columns = weights.shape
    if rows == 0 or columns == 0:
        return []
    # Tensor.argmax does not say which of equal values it takes.
    greatest = weights.amax(dim=1, keepdim=True)
    is_largest = weights == greatest
    best = torch.where(is_largest, torch.arange(columns, device=weights.device), columns)
    linked = torch.zeros_like(weights, dtype=torch.bool)
    linked.scatter_(1, best.amin(dim=1, keepdim=True), value=True)
    if eos is not None:
        linked &= greatest >= eos[:, None]
    if threshold is not None:
        linked |= weights >= threshold
    return _linked(weights, linked)


def agreed_links(
    weights: Float[Tensor, "T S"], threshold: float, opposite: Float[Tensor, "S T"] | None = None
) -> list[WordLink]:
    """Every pair whose agreement is at least `threshold`, ordered by target, then source.

    That is `agreement`, or `agreement_of_both` where the weights of a model of the `opposite`
    direction are given. No token must have a link. ValueError for a threshold outside (0, 1].
    """
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold is {threshold}; it must be in (0, 1]")
    agreed = agreement(weights) if opposite is None else agreement_of_both(weights, opposite)
    return _linked(weights, agreed >= threshold)


def agreement(weights: Float[Tensor, "T S"]) -> Float[Tensor, "T S"]:
    """How far both sides choose each other, between 0 and 1: √(w_ij · w_ij / Σ_k w_kj).

    The first factor is the share of source token j among those that target token i chooses; the
    second is the share of i among the target tokens that chose j. So a source token that many
    targets fall back on links none of them, and one that few lay claim to is not lost. Liang et
    al. 2006, "Alignment by agreement", section 3 multiply the posteriors of two models, one for
    each direction; here one model is read in both.
    """
    claimed = weights.sum(dim=0, keepdim=True)
    return weights / claimed.sqrt().clamp(min=torch.finfo(weights.dtype).tiny)


def agreement_of_both(
    weights: Float[Tensor, "T S"], opposite: Float[Tensor, "S T"]
) -> Float[Tensor, "T S"]:
    """The mean of the `agreement` of two models, one for each direction.

    The second wrote the source from the target. They err in different places: what one of them
    alone believes in is worth half (Liang et al. 2006, section 3, with a sum for their product).
    """
    return (agreement(weights) + agreement(opposite).T) / 2


def regrouped(
    weights: Float[Tensor, "T S"],
    rows: Sequence[Sequence[int]],
    columns: Sequence[Sequence[int]],
) -> Float[Tensor, "T2 S2"]:
    """The weights between other tokens, each of which touches the rows or columns that it names.

    For two models that cut the same texts into other tokens: the greatest weight between any of
    those that are touched, and 0 where none is.
    """
    if _each_its_own(rows, weights.shape[0]) and _each_its_own(columns, weights.shape[1]):
        return weights
    width = weights.shape[1]
    taken = [weights[list(row)].amax(dim=0) if row else weights.new_zeros(width) for row in rows]
    across = torch.stack(taken) if taken else weights.new_zeros(0, width)
    if not columns:
        return across[:, :0]
    return torch.stack(
        [
            across[:, list(column)].amax(dim=1) if column else across.new_zeros(len(across))
            for column in columns
        ],
        dim=1,
    )


def _each_its_own(groups: Sequence[Sequence[int]], count: int) -> bool:
    return [list(group) for group in groups] == [[index] for index in range(count)]


def _linked(weights: Float[Tensor, "T S"], linked: Bool[Tensor, "T S"]) -> list[WordLink]:
    return [
        WordLink(source, target, weight)
        for (target, source), weight in zip(
            linked.nonzero().tolist(), weights[linked].tolist(), strict=True
        )
    ]


Pair = tuple[int, int]
"""Zero-based `(source, target)` indices of two linked tokens."""


@dataclass(frozen=True, slots=True)
class GoldLinks:
    """What annotators linked in one sentence (Och & Ney 2003)."""

    sure: frozenset[Pair]
    possible: frozenset[Pair]
    """Contains `sure`."""


@dataclass(frozen=True, slots=True)
class AlignmentScores:
    """How links agree with gold links; shares in [0, 1], and lower is better for `aer`."""

    aer: float
    precision: float
    recall: float


def alignment_error_rate(
    predicted: Sequence[Iterable[Pair]], gold: Sequence[GoldLinks]
) -> AlignmentScores:
    """Alignment error rate of a corpus, one entry a sentence (Och & Ney 2003, section 6).

    With links A, sure S and possible P ⊇ S, counted over all sentences: precision |A∩P| / |A|,
    recall |A∩S| / |S|, AER 1 - (|A∩S| + |A∩P|) / (|A| + |S|). Nothing asked is nothing wrong: a
    share of an empty set is 1, and AER is 0 where A and S are empty. ValueError if lengths differ.
    """
    made = sure = made_sure = made_possible = 0
    for pairs, reference in zip(predicted, gold, strict=True):
        unique = frozenset(pairs)
        made += len(unique)
        sure += len(reference.sure)
        made_sure += len(unique & reference.sure)
        made_possible += len(unique & reference.possible)
    return AlignmentScores(
        aer=1.0 - _share(made_sure + made_possible, made + sure),
        precision=_share(made_possible, made),
        recall=_share(made_sure, sure),
    )


def _moved(token: Token, offset: int) -> Token:
    return Token(token.text, token.start + offset, token.end + offset)


def _group_of_piece(groups: Sequence[WordPieces], pieces: int, side: str) -> Int[Tensor, " P"]:
    order = [piece for group in groups for piece in group.pieces]
    if sorted(order) != list(range(pieces)):
        raise ValueError(f"the {side} words do not hold each of {pieces} pieces exactly once")
    group_of = torch.empty(pieces, dtype=torch.long)
    sizes = torch.tensor([len(group.pieces) for group in groups], dtype=torch.long)
    group_of[torch.tensor(order, dtype=torch.long)] = torch.arange(len(groups)).repeat_interleave(
        sizes
    )
    return group_of


def _sum_columns(
    weights: Float[Tensor, "T P"], group_of: Int[Tensor, " P"], groups: int
) -> Float[Tensor, "T S"]:
    summed = weights.new_zeros(weights.shape[0], groups)
    return summed.index_add(1, group_of.to(weights.device), weights)


def _average_rows(
    weights: Float[Tensor, "P S"], group_of: Int[Tensor, " P"], groups: int
) -> Float[Tensor, "T S"]:
    summed = weights.new_zeros(groups, weights.shape[1])
    counts = torch.bincount(group_of, minlength=groups).to(weights)
    return summed.index_add(0, group_of.to(weights.device), weights) / counts[:, None]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0
