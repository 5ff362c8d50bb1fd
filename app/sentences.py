"""A text as sentences that index it: nothing but white space lies between them.

Why no library: a splitter must give exact offsets for any text. sentencex 1.0.32 panics on a
no-break space after an initial (`B\u00a0.`), in the middle of ordinary French; the spans of
pysbd 0.3.4 can overlap; both part `Le Dr. Martin`; syntok 1.4.4 knows no French. The
rule here is small and errs towards too few boundaries: two sentences in one segment cost little,
half a sentence costs much.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import regex

# What str.splitlines calls a line's end.
_LINE = regex.compile(r"[^\n\r\v\f\x1C-\x1E\x85\u2028\u2029]+")

_MARKS = r".!?\u2026\u203D\u061F\u06D4\u0964\u0965\u0589"  # also Arabic, Urdu, Hindi, Armenian
_NO_MARK = r"(?![\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}])"  # else a cluster would be cut
_END = regex.compile(
    rf"""
    (?<! [{_MARKS}] ) (?P<marks> [{_MARKS}]++ )
    (?P<closers> (?: [\ \u00A0\u202F]?+ » | [«"“”‘’'›‹)\]}}*_] )*+ )
    (?= \s )
    | [。！？｡︒]++ [」』）］】〉》”’»"]*+ {_NO_MARK}
    """,  # noqa: RUF001
    regex.VERBOSE,
)
_NEXT = regex.compile(
    r"""
    \s*+
    (?: (?P<continues> [,;:.!?…)\]}»] )
      | [\s"“”„‚‘’'«‹›(\[{¿¡*_#\-–—]*+ (?P<first> . )  # past what opens a sentence
    )
    """,  # noqa: RUF001
    regex.VERBOSE,
)
_WORD_BEFORE = regex.compile(r"(?<![\p{L}\p{M}\p{N}.])[\p{L}\p{M}\p{N}.]+\Z")
_LONGEST_ABBREVIATION = 24  # characters looked at before a full stop
_INITIALS = regex.compile(r"(?:\p{L}\.)*\p{Lu}")


def _sets(listed: dict[str, str]) -> dict[str, frozenset[str]]:
    return {language: frozenset(words.split()) for language, words in listed.items()}


# Never the last word of a sentence. As written, since `Gen.` is a title and `gen.` is not.
_ABBREVIATIONS = _sets(
    {
        "en": "Mr Mrs Ms Messrs Dr Prof Rev Hon Gen Col Capt Lt Sgt Maj Sen Rep Gov St Mt Ft "
        "vs e.g i.e cf viz approx",
        "fr": "MM Mme Mmes Mlle Mlles Dr Pr Prof Mgr Me St Ste cf Cf ex env av apr tél bd vs",
        "de": "Dr Prof Hr Hrn Fr St z.B Z.B d.h D.h u.a z.T i.d.R o.ä bzw ca vgl Vgl evtl ggf inkl "
        "zzgl sog Mio Mrd vs",
    }
)
# The same before a number only: `No. 5`, but `No. He left.`
_ABBREVIATIONS_OF_NUMBERS = _sets(
    {
        "en": "No Nos no nos p pp Fig fig Figs Vol vol Ch ch Sec sec Eq eq Art art ed "
        "Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec",
        "fr": "n no p pp fig Fig vol Vol chap Chap art Art t éd al",
        "de": "Nr nr S s Bd Abb Kap Art Abs Str",
    }
)

# Where a long sentence is best parted: after a clause.
_CLAUSE_END = regex.compile(r"[,;:،؛)\]»”–—](?=\s)|[、，；：]" + _NO_MARK)  # noqa: RUF001
_SPACE = regex.compile(r"\s")
_GRAPHEME = regex.compile(r"\X")


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or a part of one, as a half-open span in code points of the caller's text."""

    start: int
    end: int
    split: bool = False
    """True where the segment is a part of a sentence that was longer than the limit."""


def split_sentences(text: str, language: str, max_characters: int | None = None) -> list[Segment]:
    """Sentences of `text` in order; the gaps around them are white space, or empty, only.

    A line's end always ends a sentence. `language` (`fr`, `fr-CA`) picks the abbreviations; any
    language may be asked. A sentence longer than `max_characters` is parted at a clause's end in
    the second half of the room, else at a space, else between grapheme clusters, else (one
    cluster longer than the limit) inside one. ValueError for a limit below 1.
    """
    if max_characters is not None and max_characters < 1:
        raise ValueError(f"max_characters is {max_characters}; it must be at least 1")
    segments: list[Segment] = []
    for start, end in _sentences(text, language.split("-")[0].lower()):
        if max_characters is None or end - start <= max_characters:
            segments.append(Segment(start, end))
        else:
            segments.extend(_parts(text, start, end, max_characters))
    return segments


def _sentences(text: str, language: str) -> Iterator[tuple[int, int]]:
    for line in _LINE.finditer(text):
        start = _skip_space(text, line.start(), line.end())
        for end in _END.finditer(text, start, line.end()):
            if _is_boundary(text, start, end, line.end(), language):
                yield start, end.end()
                start = _skip_space(text, end.end(), line.end())
        if start < line.end():
            yield start, start + len(text[start : line.end()].rstrip())


def _is_boundary(
    text: str, start: int, end: regex.Match[str], line_end: int, language: str
) -> bool:
    following = _NEXT.match(text, end.end(), line_end)
    if following is None or following["continues"]:
        return False
    if end["marks"] is None:
        return True
    if following["first"].islower():
        return False
    if end["marks"] != "." or end["closers"]:
        return True
    return not _is_abbreviation(text, start, end.start(), following["first"], language)


def _is_abbreviation(text: str, start: int, stop: int, following: str, language: str) -> bool:
    """Whether the full stop at `stop`, in the sentence from `start`, belongs to its word."""
    first = max(start, stop - _LONGEST_ABBREVIATION)
    found = _WORD_BEFORE.search(text[first:stop])
    if found is None:
        return False
    word = found[0]
    if first + found.start() == start and (word.isdigit() or len(word) == 1):
        return True  # the number of a list's item
    if word.isdigit():
        return language == "de" and len(word) <= 2  # am 3. Oktober
    if _INITIALS.fullmatch(word):
        return not (language == "en" and word == "I")
    if word in _ABBREVIATIONS.get(language, frozenset()):
        return True
    return following.isdigit() and word in _ABBREVIATIONS_OF_NUMBERS.get(language, frozenset())


def _parts(text: str, start: int, end: int, limit: int) -> Iterator[Segment]:
    while end - start > limit:
        cut = start + _best_cut(text[start : start + limit + 1], limit)
        yield Segment(start, start + len(text[start:cut].rstrip()), split=True)
        start = _skip_space(text, cut, end)
    yield Segment(start, end, split=True)


def _best_cut(window: str, limit: int) -> int:
    """Where to cut `window`, which starts with no space and shows one character past `limit`."""
    clauses = [match.end() for match in _CLAUSE_END.finditer(window)]
    spaces = [match.start() for match in _SPACE.finditer(window)]
    graphemes = [match.end() for match in _GRAPHEME.finditer(window)]
    for cuts, least in ((clauses, limit // 2 + 1), (spaces, 1), (graphemes, 1)):
        fitting = [cut for cut in cuts if least <= cut <= limit]
        if fitting:
            return fitting[-1]
    return limit


def _skip_space(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start
