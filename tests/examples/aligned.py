"""Translations that we make up, by links between words."""

from softalign import Alignment, SegmentAlignment, Token, Translation


def tokens(text: str) -> tuple[Token, ...]:
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        found.append(Token(word, start, at))
    return tuple(found)


def aligned(source: str, target: str, links: str) -> Translation:
    """`links` are `source-target` pairs of words."""
    columns, rows = tokens(source), tokens(target)
    weights = [[0.0] * len(columns) for _ in rows]
    for pair in links.split():
        column, row = map(int, pair.split("-"))
        weights[row][column] = 0.5
    segment = SegmentAlignment(
        segment=0,
        source_tokens=columns,
        target_tokens=rows,
        weights=tuple(map(tuple, weights)),
        eos=(0.0,) * len(rows),
        eos_row=None,
    )
    return Translation(
        source=source,
        text=target,
        source_lang="en",
        source_lang_detected=False,
        target_lang="fr",
        score=0.0,
        log_prob=0.0,
        segments=(),
        aligned=Alignment("attention", "word", "utf-32", 0.5, (segment,)),
        recipe=None,
        read_form=None,
        finish_reason="stop",
        id=None,
        index=0,
        model="made-up@0",
        alternatives=(),
    )
