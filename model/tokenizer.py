"""Text to pieces and back, with the span of every piece in the text (Kudo & Richardson 2018)."""

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor

from model.spelling import OTHER, Spelling
from model.typography import replacements

Span = tuple[int, int]
"""Half-open `(start, end)` in code points of one text."""

BYTE_PIECES = 256

LONGEST_OPEN = 3
"""Most bytes of a UTF-8 character that is not complete."""

# Everything the binding is known to raise: its own status codes arrive as RuntimeError and
# IndexError, arguments that it cannot convert as TypeError, ValueError or OverflowError.
_BINDING_ERRORS = (RuntimeError, IndexError, TypeError, ValueError, OverflowError)


class TokenizerError(Exception):
    """A model, text or id that cannot be used; the message says which, where and how to mend it."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as pieces; `ids`, `pieces` and `spans` have one entry for each piece."""

    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    """The pieces as the vocabulary writes them: `▁` for a space, `<0xC3>` for a byte."""
    spans: tuple[Span, ...]
    """Into the raw text; white space at both ends left out, ordered, disjoint, maybe empty."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """The text of a sequence of ids; `spans` has one entry for each id."""

    text: str
    spans: tuple[Span, ...]
    """Into `text`; white space at both ends left out, ordered, disjoint, maybe empty."""


class Tokenizer:
    """A sentencepiece model with byte fallback; it holds no state, so threads may share it.

    Spans index the text that was passed in, not its NFKC form. A piece can have an empty span:
    a lone `▁`, all but the last piece of a character that needs several (bytes, ligatures, `…`),
    and special ids. All others slice non-blank text, and no character is in two spans.

    Quotes and hyphens that the vocabulary hardly knows are read as those it knows
    (`model/typography.py`).
    """

    def __init__(self, serialized: bytes) -> None:
        """Read a model from its bytes; TokenizerError when they are not a usable one.

        Verify the bytes' digest first where they come from a file: they are parsed by native code.
        """
        if not serialized:
            raise TokenizerError("the tokenizer model is empty (0 bytes); train or copy it again")
        with _binding_errors_as("the bytes are not a sentencepiece model"):
            self._processor = SentencePieceProcessor(model_proto=serialized)
        self.serialized = serialized
        self.size: int = self._processor.vocab_size()
        self.pad_id: int = self._processor.pad_id()
        self.unk_id: int = self._processor.unk_id()
        self.bos_id: int = self._processor.bos_id()
        self.eos_id: int = self._processor.eos_id()
        self._check_vocabulary()
        self._silent_ids = frozenset(
            index
            for index in range(self.size)
            if self._processor.is_control(index) or self._processor.is_unknown(index)
        )
        self.spelling = Spelling(np.array([self._byte(index) for index in range(self.size)]))
        """Which of its pieces are bytes."""
        self._replacements = replacements(
            (self._processor.id_to_piece(index), self._processor.get_score(index))
            for index in range(self.size)
            if index not in self._silent_ids and not self._processor.is_byte(index)
        )

    @classmethod
    def load(cls, path: Path | str) -> "Tokenizer":
        """Read a model file; TokenizerError names the file that is missing or broken."""
        try:
            return cls(Path(path).read_bytes())
        except OSError as error:
            raise TokenizerError(f"cannot read {path}: {error.strerror}") from error
        except TokenizerError as error:
            raise TokenizerError(f"{path}: {error}") from error

    def encode(self, text: str) -> list[int]:
        """Piece ids of `text`, without EOS; TokenizerError for a lone surrogate."""
        _check_encodable(text)
        with _binding_errors_as("the text cannot be encoded"):
            ids: list[int] = self._processor.encode_as_ids(text.translate(self._replacements))
        return ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """`encode` of each of many texts, in parallel."""
        for text in texts:
            _check_encodable(text)
        plain = [text.translate(self._replacements) for text in texts]
        with _binding_errors_as("the texts cannot be encoded"):
            ids: list[list[int]] = self._processor.encode(plain)
        return ids

    def encode_with_spans(self, text: str) -> Encoded:
        """Pieces of `text`, without EOS, with their spans; TokenizerError for a lone surrogate."""
        _check_encodable(text)
        with _binding_errors_as("the text cannot be encoded"):
            mapping = self._processor.encode_as_offset_mapping(text.translate(self._replacements))
        return Encoded(
            ids=tuple(mapping["ids"]),
            pieces=tuple(mapping["pieces"]),
            spans=tuple(_trim(text, start, end) for start, end in mapping["offsets"]),
        )

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """`ids` as the vocabulary writes them; TokenizerError for an id out of range."""
        self._check_ids(ids)
        with _binding_errors_as("the ids have no pieces"):
            return tuple(self._processor.id_to_piece(list(ids)))

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`; special ids are left out, TokenizerError for an id out of range."""
        self._check_ids(ids)
        with _binding_errors_as("the ids cannot be decoded"):
            text: str = self._processor.decode([i for i in ids if i not in self._silent_ids])
        return text

    def decode_with_spans(self, ids: Sequence[int]) -> Decoded:
        """Text of `ids` with one span for each id, empty for special ids.

        Bytes that do not form a character become U+FFFD. TokenizerError for an id out of range.
        """
        self._check_ids(ids)
        spoken = [i for i in ids if i not in self._silent_ids]
        with _binding_errors_as("the ids cannot be decoded"):
            mapping = self._processor.decode(spoken, return_type="offset_mapping")
        text: str = mapping["text"]
        spoken_spans = iter(mapping["offsets"])
        spans: list[Span] = []
        end = 0
        for i in ids:
            start, end = (end, end) if i in self._silent_ids else next(spoken_spans)
            spans.append(_trim(text, start, end))
        return Decoded(text, tuple(spans))

    def open_bytes(self, ids: Sequence[int]) -> int:
        """How many of the last pieces are bytes of a character that is not complete yet."""
        run: list[int] = []
        for index in reversed(ids[-LONGEST_OPEN:]):
            if not self._processor.is_byte(index):
                break
            run.insert(0, self._byte(index))
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        decoder.decode(bytes(run))
        return len(decoder.getstate()[0])

    def _byte(self, index: int) -> int:
        """The byte that a piece is, `OTHER` for every other piece."""
        if not self._processor.is_byte(index):
            return OTHER
        return int(self._processor.id_to_piece(index)[3:5], 16)

    def _check_vocabulary(self) -> None:
        special_ids = {
            "pad_id": self.pad_id,
            "unk_id": self.unk_id,
            "bos_id": self.bos_id,
            "eos_id": self.eos_id,
        }
        absent = [name for name, index in special_ids.items() if index < 0]
        if absent:
            raise TokenizerError(
                f"the model has no {', '.join(absent)}; train it with pad_id, unk_id, bos_id "
                "and eos_id set"
            )
        bytes_found = sum(self._processor.is_byte(index) for index in range(self.size))
        if bytes_found != BYTE_PIECES:
            raise TokenizerError(
                f"the model has {bytes_found} byte pieces of {BYTE_PIECES}, so some characters "
                "would be lost; train it with byte_fallback=True"
            )

    def _check_ids(self, ids: Sequence[int]) -> None:
        for position, index in enumerate(ids):
            if not 0 <= index < self.size:
                raise TokenizerError(
                    f"id {index} at position {position} is not in the vocabulary; "
                    f"ids run from 0 to {self.size - 1}"
                )


def _trim(text: str, start: int, end: int) -> Span:
    # A word's first piece carries the spaces before it. A blank span shrinks to its end, where
    # the piece that follows begins.
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return start, end


def _check_encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"lone surrogate U+{ord(text[error.start]):04X} at offset {error.start}; "
            "send well-formed Unicode"
        ) from None


@contextmanager
def _binding_errors_as(message: str) -> Iterator[None]:
    try:
        yield
    except _BINDING_ERRORS as error:
        raise TokenizerError(f"{message} ({error})") from error
