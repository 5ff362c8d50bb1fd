import itertools
from typing import get_args

import pytest

from app.formats.aligned import Theme
from app.formats.colours import PALETTES, colour

THEMES = get_args(Theme)

# What dichromats see: Machado, Oliveira & Fernandes 2009, severity 1.0, on linear RGB.
VISIONS = {
    "full": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}


def linear(name: str) -> list[float]:
    channels = [int(name[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(name: str, vision: str = "full") -> float:
    seen = [sum(m * c for m, c in zip(row, linear(name), strict=True)) for row in VISIONS[vision]]
    return 0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2]


def lightness(name: str, vision: str = "full") -> float:
    """CIE L*, 0 to 100."""
    y = luminance(name, vision)
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("theme", THEMES)
def test_more_weight_is_lighter_or_darker_for_every_vision(theme, vision):
    scale = [lightness(colour(PALETTES[theme].scale, step / 10), vision) for step in range(11)]
    steps = [after - before for before, after in itertools.pairwise(scale)]
    assert all(step > 3 for step in steps) or all(step < -3 for step in steps)


@pytest.mark.parametrize("theme", THEMES)
def test_equal_steps_of_weight_look_nearly_equal(theme):
    scale = [lightness(colour(PALETTES[theme].scale, step / 5)) for step in range(6)]
    steps = [abs(after - before) for before, after in itertools.pairwise(scale)]
    assert max(steps) < 2 * min(steps)


@pytest.mark.parametrize("theme", THEMES)
def test_text_can_be_read_on_the_page(theme):
    palette = PALETTES[theme]
    assert contrast(palette.ink, palette.page) >= 7
    assert contrast(palette.muted, palette.page) >= 4.5


@pytest.mark.parametrize("theme", THEMES)
def test_a_mark_is_seen_on_every_cell(theme):
    palette = PALETTES[theme]
    for weight in (step / 100 for step in range(101)):
        assert contrast(palette.mark(weight), colour(palette.scale, weight)) >= 3


def test_weights_outside_of_the_scale_get_its_ends():
    scale = PALETTES["light"].scale
    assert colour(scale, -0.1) == colour(scale, 0.0) == scale[0]
    assert colour(scale, 1.1) == colour(scale, 1.0) == scale[-1]
    assert colour(scale, 1 / 16) == scale[1]
