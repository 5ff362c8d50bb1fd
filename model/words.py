"""Words of a text, and which pieces make up each word.

What a word is, without a look at the language:

- A run of letters, marks, digits and `_`. Apostrophes and hyphens between two of them belong to
  it (`isn't`, `aujourd'hui`, `well-known`, `E-Mail-Adresse`), and so do `.` and `,` between two
  digits (`3.50`) and invisible format characters (the ZWNJ of Persian, a soft hyphen), except
  U+200B, which is there to part words.
- An elided article or pronoun before a vowel or h is a word: `l'|homme`, `qu'|il`, `J'|ai`.
- In scripts written without spaces (Han, Hiragana, Katakana, Bopomofo, Yi, Thai, Lao, Khmer,
  Myanmar, Tibetan, Javanese, Balinese, Tai Tham) each character is a word.
- Every other character is a word: punctuation, symbols, emoji. A run of one and the same
  punctuation mark is one word (`...`).

A character is always a grapheme cluster (UAX #29), so no word cuts an emoji sequence, a flag, or a
letter from its combining marks. White space is never part of a word; format and control characters
at the rim of a word (bidirectional controls, BOM) are left out, unless nothing else stands there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import regex

from model.tokenizer import Span

# ISO 15924 codes. Script extensions, so that shared characters such as ー count too.
_UNSPACED_SCRIPTS = [
    *("Hani", "Hira", "Kana", "Bopo", "Yiii"),
    *("Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Java", "Bali", "Lana"),
]
_UNSPACED = "".join(rf"\p{{scx={script}}}" for script in _UNSPACED_SCRIPTS)
_UNSPACED_CHARACTER = rf"(?= [{_UNSPACED}] ) (?= [\p{{L}}\p{{N}}] ) \X"
_SPACE = r"[\s\x1C-\x1F]"  # what str.isspace calls white space
_RUN = rf"""
    (?: (?= [\p{{L}}\p{{M}}\p{{N}}_\p{{GCB=Prepend}}] ) (?! {_UNSPACED_CHARACTER} )
        (?! \p{{GCB=Prepend}}++ {_SPACE} ) \X
    )++
"""
_WORD = regex.compile(
    rf"""
    {_UNSPACED_CHARACTER}
    | # l' d' qu' jusqu' … before a vowel or h
      (?i: [cdjlmnst] | (?: jus | lors | puis | quoi )? qu ) ['\u2019]
      (?= (?i: [aeiouyhœæàâäéèêëîïôöùûü] ) )
    | {_RUN}
      (?:
        (?: ['\u2019\uFF07\-\u2010\u2011] | (?<= \p{{N}} ) [.,] (?= \p{{N}} )
          | (?: (?! \u200B ) \p{{Cf}} )++ )
        {_RUN}
      )*+
    | (?P<mark> \p{{P}} ) (?P=mark)*+ (?! [\p{{GCB=Extend}}\p{{GCB=ZWJ}}\p{{GCB=SpacingMark}}] )
    | # A cluster that would go on into white space, such as an Arabic number sign without number.
      \p{{GCB=Prepend}}++ (?= {_SPACE} )
    | # A flag. \X knows it too, but counts back over all flags before it, in quadratic time.
      \p{{RI}} \p{{RI}} [\p{{GCB=Extend}}\p{{GCB=ZWJ}}]*+
    | (?! [\p{{Cf}}\p{{Cc}}] | {_SPACE} ) \X
    | (?<= \A | {_SPACE} ) (?: (?! {_SPACE} ) [\p{{Cf}}\p{{Cc}}] )++ (?= \Z | {_SPACE} )
    """,
    regex.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a text: a word or a piece; `text == raw[start:end]`, in code points."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class WordPieces:
    """A word, or several words that one piece spans, with the pieces that make it up."""

    token: Token
    """The text from the first of `words` to the end of the last."""
    words: tuple[int, ...]
    """Indices of the words, in order; nearly always one."""
    pieces: tuple[int, ...]
    """Indices of the pieces, in order and without a gap; at least one."""


def words(text: str) -> list[Token]:
    """Words of `text` in order; none exactly when the text is blank."""
    return [Token(match[0], *match.span()) for match in _WORD.finditer(text)]


def tokens_at(text: str, spans: Sequence[Span]) -> tuple[Token, ...]:
    """The parts of `text` at `spans`, such as its pieces."""
    return tuple(Token(text[start:end], start, end) for start, end in spans)


def group_pieces(
    text: str, word_tokens: Sequence[Token], piece_spans: Sequence[Span]
) -> list[WordPieces]:
    """Give every piece of `text` to exactly one word.

    `word_tokens` and `piece_spans` are each disjoint and in the order of the text. A piece that
    touches several words makes one of them. A piece that touches none (its span is empty, or lies
    on characters that belong to no word) joins the word of the next piece that does, as the first
    bytes of a character do, or, at the end of the text, the last word. A word without a piece,
    whose characters the tokenizer drops, has no group. Without a word there is no group, and where
    no piece touches any word, all are one group.
    """
    if not word_tokens:
        return []
    groups: list[_Group] = []
    waiting = 0  # first piece that is in no group yet
    word = 0
    for piece, (start, end) in enumerate(piece_spans):
        while word < len(word_tokens) and word_tokens[word].end <= start:
            word += 1
        touched = word
        while touched < len(word_tokens) and word_tokens[touched].start < end:
            touched += 1
        if touched == word or start == end:
            continue
        if groups and groups[-1].end_word > word:
            groups[-1].end_word = max(groups[-1].end_word, touched)
            groups[-1].end_piece = piece + 1
        else:
            groups.append(_Group(word, touched, waiting, piece + 1))
        waiting = piece + 1
    if waiting < len(piece_spans):
        if not groups:
            groups.append(_Group(0, len(word_tokens), 0, 0))
        groups[-1].end_piece = len(piece_spans)
    return [group.finish(text, word_tokens) for group in groups]


@dataclass(slots=True)
class _Group:
    first_word: int
    end_word: int
    first_piece: int
    end_piece: int

    def finish(self, text: str, word_tokens: Sequence[Token]) -> WordPieces:
        start, end = word_tokens[self.first_word].start, word_tokens[self.end_word - 1].end
        return WordPieces(
            token=Token(text[start:end], start, end),
            words=tuple(range(self.first_word, self.end_word)),
            pieces=tuple(range(self.first_piece, self.end_piece)),
        )
