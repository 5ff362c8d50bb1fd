"""Translate subtitles and keep the time of every word: `python examples/subtitles.py FILE`.

A line may say when its words are spoken, by a time before each, as in `<00:00:01,300>black`. Words
without a time get one between their neighbours, by their length. In the translated subtitles there
is a cue for each word that is spoken: the whole line, with the words underlined that were made from
it.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from softalign import Client, TranslateOptions, Translation

CUE = re.compile(r"(\d+:\d\d:\d\d[,.]\d{3}) --> (\d+:\d\d:\d\d[,.]\d{3}).*\n((?:.+\n?)+)")
TIME_TAG = re.compile(r"<(\d+:\d\d:\d\d[,.]\d{3})>")
WORD = re.compile(r"\S*\w")  # without the punctuation behind it


@dataclass(frozen=True)
class SpokenWord:
    """Where a word stands in the text of its cue, and when it begins, in milliseconds."""

    start: int
    end: int
    begins: int


@dataclass(frozen=True)
class Cue:
    """A line of subtitles."""

    text: str
    words: list[SpokenWord]
    ends: int


def read_cues(subtitles: str) -> Iterator[Cue]:
    """The cues of an .srt file; the lines of a cue are one text."""
    for begins, ends, lines in CUE.findall(subtitles):
        # Every other part is a time, and stands before the part that follows it.
        first, *parts = TIME_TAG.split(" ".join(lines.split()))
        text, tagged = first, {0: milliseconds(begins)}
        for time, part in zip(parts[::2], parts[1::2], strict=True):
            tagged[len(text)] = milliseconds(time)
            text += part
        yield Cue(text, list(spoken_words(text, tagged, milliseconds(ends))), milliseconds(ends))


def spoken_words(text: str, tagged: dict[int, int], ends: int) -> Iterator[SpokenWord]:
    """The words of `text`; `tagged` has the times that are known, by their place in it."""
    places = [*sorted(tagged.items()), (len(text), ends)]
    for word in WORD.finditer(text):
        after = next(index for index, place in enumerate(places) if place[0] > word.start())
        (left, earlier), (right, later) = places[after - 1], places[after]
        share = (word.start() - left) / (right - left)
        yield SpokenWord(word.start(), word.end(), round(earlier + share * (later - earlier)))


def carry_over(cue: Cue, translation: Translation) -> Iterator[str]:
    """A cue of the translation for each word that is spoken, without its number."""
    ends = [*(word.begins for word in cue.words[1:]), cue.ends]
    for word, end in zip(cue.words, ends, strict=True):
        line, at = "", 0
        for token in translation.alignment.targets_of(word.start, word.end):
            line += f"{translation.text[at : token.start]}<u>{token.text}</u>"
            at = token.end
        yield f"{timestamp(word.begins)} --> {timestamp(end)}\n{line}{translation.text[at:]}\n"


def milliseconds(timestamp: str) -> int:
    """Of `00:00:01,300`."""
    hours, minutes, seconds, rest = map(int, re.split(r"[:,.]", timestamp))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def timestamp(milliseconds: int) -> str:
    """As an .srt file writes it."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02},{rest:03}"


def translate_subtitles(client: Client, subtitles: str, **options: Unpack[TranslateOptions]) -> str:
    """The .srt file of the translation."""
    cues = list(read_cues(subtitles))
    options["store"] = False
    most = int(client.limits()["max_texts"])
    made: list[str] = []
    for first in range(0, len(cues), most):
        batch = cues[first : first + most]
        texts = [cue.text for cue in batch]
        translations = client.translate(texts, **options)
        for cue, translation in zip(batch, translations, strict=True):
            made += carry_over(cue, translation)
    return "\n".join(f"{number}\n{cue}" for number, cue in enumerate(made, 1))


def main() -> None:
    """Translate a file to standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("subtitles", type=Path, help="an .srt file")
    parser.add_argument("--to", default="fr", help="language to translate into")
    parser.add_argument("--kind", default="head", help="of alignment: head, or attention")
    parser.add_argument("--address", default="http://127.0.0.1:8000", help="of the service")
    asked = parser.parse_args()
    with Client(asked.address) as client:
        subtitles = asked.subtitles.read_text("utf-8")
        sys.stdout.write(
            translate_subtitles(client, subtitles, target_lang=asked.to, kind=asked.kind)
        )


if __name__ == "__main__":
    main()
