"""The sentences of the speed benchmarks: random ids with the lengths of everyday text."""

import random

PAD, UNK, BOS, EOS = 0, 1, 2, 3
VOCABULARY = 8000
EMBEDDING, UNITS = 256, 512
TARGET_LENGTH = 16
"""Target tokens that every system is made to produce for every sentence."""


def sentences(count: int, seed: int = 1) -> list[list[int]]:
    """Source ids ended by EOS, 15.6 of them on average, as in image captions."""
    draw = random.Random(seed)
    lengths = [min(40, max(4, round(draw.gauss(14.6, 4.5)))) for _ in range(count)]
    return [[draw.randrange(4, VOCABULARY) for _ in range(length)] + [EOS] for length in lengths]


def sentence(length: int, seed: int = 2) -> list[int]:
    """One sentence of `length` pieces, EOS included."""
    draw = random.Random(seed)
    return [draw.randrange(4, VOCABULARY) for _ in range(length - 1)] + [EOS]


def batches(count: int, size: int, seed: int = 3) -> list[dict[str, list[list[int]]]]:
    """Training batches of `size` pairs of about equal lengths: source and target ids with EOS."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        longest = draw.randrange(8, 20)
        made.append(
            {
                side: [
                    [
                        draw.randrange(4, VOCABULARY)
                        for _ in range(draw.randint(longest - 2, longest))
                    ]
                    + [EOS]
                    for _ in range(size)
                ]
                for side in ("source", "target")
            }
        )
    return made


def tokens(batch: dict[str, list[list[int]]]) -> int:
    """Target tokens that a training step on this batch learns from."""
    return sum(len(target) for target in batch["target"])
