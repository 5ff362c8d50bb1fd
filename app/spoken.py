"""What pieces say while more are to come: text that only ever grows."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.tokenizer import Span, Tokenizer


@dataclass(frozen=True, slots=True)
class Spoken:
    """The text of a beginning of a translation, piece by piece."""

    texts: tuple[str, ...]
    """What each piece appends; joined they are the text so far."""
    spans: tuple[Span, ...]
    """Where each piece stands in it, without white space, as `Tokenizer.decode_with_spans` says."""
    held: int
    """So many of the last pieces say nothing yet: bytes of a character that is not complete."""


def speak(tokenizer: Tokenizer, ids: Sequence[int], *, is_whole: bool) -> Spoken:
    """The text of `ids`; unless that `is_whole`, what later pieces could change is left out.

    That is white space at the end, which goes to the piece that follows, and bytes. So for all but
    the last `held` pieces the result is the same however the translation goes on.
    """
    decoded = tokenizer.decode_with_spans(ids)
    held = 0 if is_whole else tokenizer.open_bytes(ids)
    end = decoded.spans[-held][0] if held else len(decoded.text)
    said, texts, spans = 0, [], []
    for start, stop in decoded.spans:
        spans.append((min(start, end), min(stop, end)))
        upto = max(said, spans[-1][1])
        texts.append(decoded.text[said:upto])
        said = upto
    if is_whole and texts:
        texts[-1] += decoded.text[said:]
    return Spoken(tuple(texts), tuple(spans), held)
