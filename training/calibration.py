"""Chooses the agreement from which on an alignment head links words."""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from model.alignment import (
    GoldLinks,
    Pair,
    agreed_links,
    alignment_error_rate,
    piece_alignment,
    word_alignment,
)
from model.tokenizer import Tokenizer
from model.words import WordPieces, group_pieces, tokens_at, words
from training.gold import THRESHOLDS


class Calibration:
    """Links between the words of some pairs at every threshold, beside silver ones.

    Between words and not between pieces, since the weight of a word is spread over its pieces.
    """

    def __init__(self, source_tokenizer: Tokenizer, target_tokenizer: Tokenizer) -> None:
        self._tokenizers = source_tokenizer, target_tokenizer
        self._silver: list[GoldLinks] = []
        self._found: dict[float, list[set[Pair]]] = {one: [] for one in THRESHOLDS}

    def add(
        self,
        source: str,
        target: str,
        weights: Float[Tensor, "T_eos S_eos"],
        silver: Iterable[Pair],
    ) -> None:
        """Count one pair in: a head's weights of its pieces, and the silver links between these."""
        one, other = (
            tokenizer.encode_with_spans(text)
            for tokenizer, text in zip(self._tokenizers, (source, target), strict=True)
        )
        columns = group_pieces(source, words(source), one.spans)
        rows = group_pieces(target, words(target), other.spans)
        pieces = piece_alignment(
            weights, tokens_at(source, one.spans), tokens_at(target, other.spans), "head"
        )
        alignment = word_alignment(pieces, columns, rows)
        column_of, row_of = _word_of_piece(columns), _word_of_piece(rows)
        between = frozenset((column_of[piece], row_of[other]) for piece, other in silver)
        self._silver.append(GoldLinks(between, between))
        for threshold, found in self._found.items():
            linked = agreed_links(alignment.weights, threshold)
            found.append({(link.source, link.target) for link in linked})

    def best(self) -> tuple[float, float]:
        """The threshold whose links agree best with the silver ones, and their error as a share."""
        errors = {
            threshold: alignment_error_rate(found, self._silver).aer
            for threshold, found in self._found.items()
        }
        threshold = min(errors, key=lambda one: errors[one])
        return threshold, errors[threshold]


def _word_of_piece(groups: list[WordPieces]) -> dict[int, int]:
    return {piece: index for index, group in enumerate(groups) for piece in group.pieces}
