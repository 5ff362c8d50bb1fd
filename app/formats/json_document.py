"""An alignment as JSON that describes itself: the same object as in the answer of a translation."""

from collections.abc import Callable

from torch import Tensor

from app.formats.aligned import AlignedSegment, AlignedText, FormatOptions
from app.reply_schemas import (
    AlignmentReply,
    DenseMatrix,
    EosMass,
    LinkedMatrix,
    Matrix,
    SourceToken,
    SparseMatrix,
    TargetToken,
)
from app.schemas import AlignmentRequest
from model.alignment import Alignment, LinkRule
from model.offsets import offset_converter

SPARSE_THRESHOLD = 0.01
"""Smallest weight of the sparse form where a request names none."""

LOG_PROB_DECIMALS = 6

Converter = Callable[[int], int]


def json_document(aligned: AlignedText, options: FormatOptions) -> bytes:
    """`AlignmentReply` as JSON."""
    return alignment_reply(aligned, options.alignment).model_dump_json().encode() + b"\n"


def alignment_reply(aligned: AlignedText, asked: AlignmentRequest) -> AlignmentReply:
    """All segments of `aligned` in the form, the decimals and the unit that were asked for."""
    at_source = offset_converter(aligned.source, asked.offset_encoding)
    at_target = offset_converter(aligned.target, asked.offset_encoding)
    return AlignmentReply(
        kind=aligned.kind,
        offset_encoding=asked.offset_encoding,
        link_threshold=_link_threshold(aligned, asked.threshold),
        link_rule=_link_rule(aligned, asked.threshold),
        segments=[_matrix(one, asked, at_source, at_target) for one in aligned.segments],
    )


def _matrix(
    one: AlignedSegment, asked: AlignmentRequest, at_source: Converter, at_target: Converter
) -> Matrix:
    alignment, decimals = one.alignment, asked.precision
    described = {
        "segment": one.segment,
        "level": alignment.level,
        "source_tokens": [
            SourceToken(text=token.text, start=at_source(token.start), end=at_source(token.end))
            for token in alignment.source
        ],
        "target_tokens": [
            TargetToken(
                text=token.text,
                start=at_target(token.start),
                end=at_target(token.end),
                log_prob=round(log_prob, LOG_PROB_DECIMALS),
            )
            for token, log_prob in zip(alignment.target, one.log_probs, strict=True)
        ],
        "eos": _eos_mass(alignment, decimals),
    }
    if asked.form == "links":
        return LinkedMatrix.model_validate(
            {**described, "links": _links(alignment, asked.threshold, decimals)}
        )
    if asked.form == "sparse":
        least = SPARSE_THRESHOLD if asked.threshold is None else asked.threshold
        return SparseMatrix.model_validate({**described, **_sparse(alignment, least, decimals)})
    return DenseMatrix.model_validate(
        {**described, "weights": _decimals(alignment.weights, decimals)}
    )


def _eos_mass(alignment: Alignment, decimals: int) -> EosMass:
    row = alignment.eos_row
    return EosMass(
        source_mass=_decimals(alignment.eos, decimals),
        target_row=None if row is None else _decimals(row, decimals),
    )


def _link_threshold(aligned: AlignedText, asked: float | None) -> float | None:
    """What is asked for, else what the model of these alignments was calibrated to."""
    if asked is None and aligned.segments:
        return aligned.segments[0].alignment.threshold
    return asked


def _link_rule(aligned: AlignedText, asked: float | None) -> LinkRule:
    return aligned.segments[0].alignment.link_rule(asked) if aligned.segments else "weight"


def _links(
    alignment: Alignment, threshold: float | None, decimals: int
) -> list[tuple[int, int, float]]:
    return [
        (link.source, link.target, round(link.weight, decimals))
        for link in alignment.links(threshold)
    ]


def _sparse(alignment: Alignment, threshold: float, decimals: int) -> dict[str, object]:
    weights = alignment.weights
    kept = weights >= threshold
    rows, cols = kept.nonzero(as_tuple=True)
    return {
        "shape": tuple(weights.shape),
        "rows": rows.tolist(),
        "cols": cols.tolist(),
        "values": _decimals(weights[kept], decimals),
        "dropped_mass": _decimals(weights.masked_fill(kept, 0.0).sum(dim=1), decimals),
    }


def _decimals(weights: Tensor, decimals: int) -> list[float]:
    # In double precision, so that 0.1 is printed as 0.1 and not as 0.10000000149.
    rounded: list[float] = weights.double().round(decimals=decimals).tolist()
    return rounded
