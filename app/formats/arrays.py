"""An alignment as NumPy arrays; neither form holds a pickle."""

import io

import numpy as np
import numpy.typing as npt

from app.errors import FieldError, InvalidInputError
from app.formats.aligned import AlignedSegment, AlignedText, FormatOptions
from model.offsets import OffsetEncoding, offset_converter
from model.words import Token

Array = npt.NDArray[np.generic]


def npy(aligned: AlignedText, _options: FormatOptions) -> bytes:
    """The matrix of one segment, float32, target tokens in rows.

    Raises InvalidInputError where there is not exactly one segment.
    """
    if len(aligned.segments) != 1:
        message = (
            f"npy holds one matrix and this alignment has {len(aligned.segments)}; "
            "name one `segment` (and one level), or ask for npz."
        )
        raise InvalidInputError.of([FieldError("/segment", "one_segment_needed", message)])
    written = io.BytesIO()
    np.save(written, _matrix(aligned.segments[0]), allow_pickle=False)
    return written.getvalue()


def npz(aligned: AlignedText, options: FormatOptions) -> bytes:
    """Matrices, tokens and spans of all segments; `np.load(file)` reads it as it is.

    For the nth matrix: `weights_n` (T, S), `eos_n` (T), `eos_row_n` (S + 1, absent where the target
    has no end), `source_tokens_n`, `target_tokens_n`, `source_spans_n` (S, 2), `target_spans_n`
    (T, 2), `segment_n`, `level_n`, `kind_n`. Once: `source`, `target`, `offset_encoding`.
    """
    encoding = options.alignment.offset_encoding
    arrays: dict[str, Array] = {
        "source": np.array(aligned.source),
        "target": np.array(aligned.target),
        "offset_encoding": np.array(encoding),
    }
    for index, one in enumerate(aligned.segments):
        named = _arrays(aligned, one, options)
        arrays |= {f"{name}_{index}": array for name, array in named.items()}
    written = io.BytesIO()
    np.savez_compressed(written, allow_pickle=False, **arrays)
    return written.getvalue()


def _arrays(aligned: AlignedText, one: AlignedSegment, options: FormatOptions) -> dict[str, Array]:
    alignment, encoding = one.alignment, options.alignment.offset_encoding
    arrays: dict[str, Array] = {
        "weights": _matrix(one),
        "eos": alignment.eos.numpy().astype(np.float32),
        "source_tokens": _texts(alignment.source),
        "target_tokens": _texts(alignment.target),
        "source_spans": _spans(alignment.source, aligned.source, encoding),
        "target_spans": _spans(alignment.target, aligned.target, encoding),
        "segment": np.array(one.segment),
        "level": np.array(alignment.level),
        "kind": np.array(alignment.kind),
    }
    if alignment.eos_row is not None:
        arrays["eos_row"] = alignment.eos_row.numpy().astype(np.float32)
    return arrays


def _matrix(one: AlignedSegment) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(one.alignment.weights.numpy(), dtype=np.float32)


def _texts(tokens: tuple[Token, ...]) -> Array:
    return np.array([token.text for token in tokens], dtype=np.str_)


def _spans(tokens: tuple[Token, ...], text: str, encoding: OffsetEncoding) -> npt.NDArray[np.int64]:
    at = offset_converter(text, encoding)
    spans = [(at(token.start), at(token.end)) for token in tokens]
    return np.array(spans, dtype=np.int64).reshape(len(tokens), 2)
