"""Alignments of sentences that we wrote, with weights that we wrote."""

import torch

from app.formats.aligned import AlignedSegment, AlignedText
from model.alignment import Alignment, Level
from model.words import Token, words


def segment(
    source: tuple[Token, ...],
    target: tuple[Token, ...],
    index: int = 0,
    level: Level = "word",
    weights: list[list[float]] | None = None,
) -> AlignedSegment:
    """`weights` have a last column for EOS; without them, target tokens follow the diagonal."""
    if weights is None:
        weights = [_row(place, len(target), len(source)) for place in range(len(target))]
    given = torch.tensor(weights).reshape(len(target), len(source) + 1)
    return AlignedSegment(
        segment=index,
        alignment=Alignment(
            kind="attention",
            level=level,
            source=source,
            target=target,
            weights=given[:, :-1],
            eos=given[:, -1],
            eos_row=torch.full((len(source) + 1,), 1 / (len(source) + 1)),
        ),
        log_probs=tuple(-0.125 * (1 + place) for place in range(len(target))),
    )


def _row(place: int, rows: int, columns: int) -> list[float]:
    """Most on the diagonal, less beside it, the rest on EOS; all in sixty-fourths, so exact."""
    nearest = round(place * (columns - 1) / max(1, rows - 1))
    row = [0.0] * (columns + 1)
    row[nearest] = (56 - 6 * (place % 5)) / 64
    for beside in (nearest - 1, nearest + 1):
        if 0 <= beside < columns:
            row[beside] = (1 + place % 3) / 64
    row[-1] = 1.0 - sum(row)
    return row


def aligned(source: str, target: str, languages: str = "en fr", **more) -> AlignedText:
    """One segment over two whole texts."""
    one = segment(tuple(words(source)), tuple(words(target)), **more)
    return text(source, target, languages, one)


def text(source: str, target: str, languages: str, *segments: AlignedSegment) -> AlignedText:
    source_language, target_language = languages.split()
    return AlignedText(
        source=source,
        target=target,
        source_language=source_language,
        target_language=target_language,
        kind="attention",
        segments=segments,
    )


def two_segments() -> AlignedText:
    source = "The cat sleeps.\nThe red-haired dog barks at night!"
    target = "Le chat dort.\nLe chien roux aboie la nuit !"
    tokens, translated = words(source), words(target)
    split, parted = source.index("\n"), target.index("\n")
    return text(
        source,
        target,
        "en fr",
        segment(
            tuple(token for token in tokens if token.end <= split),
            tuple(token for token in translated if token.end <= parted),
        ),
        segment(
            tuple(token for token in tokens if token.start > split),
            tuple(token for token in translated if token.start > parted),
            index=1,
        ),
    )


SMALL = aligned(
    "The cat sleeps.",
    "Le chat dort.",
    weights=[
        [0.875, 0.0625, 0.0, 0.0, 0.0625],
        [0.125, 0.75, 0.125, 0.0, 0.0],
        [0.0, 0.25, 0.625, 0.0, 0.125],
        [0.0, 0.0, 0.0, 0.5, 0.5],
    ],
)
TINY = aligned("Good morning", "Bonjour toi")
ARABIC = aligned("القط (الأسود) يشرب الحليب!", "The cat (black) drinks milk!", "ar en")
HEBREW = aligned("She said: the cat sleeps.", "היא אמרה: החתול ישן.", "en he")
JAPANESE = aligned("猫はソファで寝ています。", "The cat is asleep on the sofa.", "ja en")
EMOJI = aligned("I ❤️ <b> & pizza 🍕 👨‍👩‍👧‍👦", "J'adore la pizza 🍕 !")
LONG = aligned(
    "When the rain had stopped, the children ran down to the river to see whether the small wooden "
    "boat, which their grandfather had built for them in the spring, was still tied to the old "
    "willow, and they found it full of water, leaves and three very surprised frogs that jumped.",
    "Quand la pluie eut cessé, les enfants coururent jusqu'à la rivière pour voir si le petit "
    "bateau de bois, que leur grand-père avait construit pour eux au printemps, était toujours "
    "attaché au vieux saule, et ils le trouvèrent plein d'eau, de feuilles et de trois grenouilles "
    "très surprises qui sautèrent.",
)
WIDE_WORDS = aligned(
    "Donaudampfschifffahrtsgesellschaftskapitän ist ein Wort",
    "Donaudampfschifffahrtsgesellschaftskapitän is one word",
    "de en",
)
EMPTY = text("", "", "en fr", segment((), ()))
