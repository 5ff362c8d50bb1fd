"""Texts as the network takes them: sentences with their pieces and their place in the text."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import regex

from app.sentences import Segment, split_sentences
from model.tokenizer import Encoded, Span, Tokenizer
from model.words import Token, WordPieces, group_pieces, tokens_at, words

_LETTER_OR_DIGIT = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True)
class SourceSentence:
    """A sentence of a text, or a part of one that was too long; spans index its own `text`."""

    start: int
    """Where it begins in the caller's text, in code points."""
    text: str
    encoded: Encoded
    split: bool
    """True for a part of a sentence that was too long."""

    @property
    def end(self) -> int:
        """Where it ends in the caller's text."""
        return self.start + len(self.text)

    @property
    def pieces(self) -> tuple[Token, ...]:
        """Its pieces, in order."""
        return tokens_at(self.text, self.encoded.spans)

    @cached_property
    def words(self) -> Sequence[WordPieces]:
        """Its words, and which pieces make each of them up."""
        return group_words(self.text, self.encoded.spans)


def group_words(text: str, spans: Sequence[Span]) -> list[WordPieces]:
    """The words of `text` with their pieces; where no character is visible all pieces are one."""
    groups = group_pieces(text, words(text), spans)
    if not groups and spans:
        whole = Token(text, 0, len(text))
        groups = [WordPieces(token=whole, words=(), pieces=tuple(range(len(spans))))]
    return groups


def translatable_sentences(
    text: str, language: str, tokenizer: Tokenizer, max_tokens: int
) -> list[SourceSentence]:
    """The sentences of `text` that hold a letter or a digit.

    An emoji or a ruled line says nothing that could be translated, and a network that is asked
    makes something up: like white space, it belongs to what stands between sentences.
    """
    sentences = read_sentences(text, language, tokenizer, max_tokens)
    return [sentence for sentence in sentences if _LETTER_OR_DIGIT.search(sentence.text)]


def read_sentences(
    text: str, language: str, tokenizer: Tokenizer, max_tokens: int
) -> list[SourceSentence]:
    """The sentences of `text` in order, none longer than `max_tokens` pieces with its end.

    What no sentence covers is white space, and characters that the tokenizer drops.
    """
    return [
        sentence
        for segment in split_sentences(text, language)
        for sentence in _read(text, segment, language, tokenizer, max_tokens)
        if sentence.encoded.ids
    ]


def _read(
    text: str, segment: Segment, language: str, tokenizer: Tokenizer, max_tokens: int
) -> Iterator[SourceSentence]:
    """The segment as a sentence; as several where it has too many pieces and can be parted."""
    part = text[segment.start : segment.end]
    encoded = tokenizer.encode_with_spans(part)
    count = len(encoded.ids) + 1
    if count <= max_tokens or len(part) == 1:
        yield SourceSentence(segment.start, part, encoded, segment.split)
        return
    # As many characters as have room at this sentence's own pieces for each character.
    characters = max(1, len(part) * max_tokens // (count + 1))
    for inner in split_sentences(part, language, characters):
        start, end = segment.start + inner.start, segment.start + inner.end
        yield from _read(text, Segment(start, end, split=True), language, tokenizer, max_tokens)
