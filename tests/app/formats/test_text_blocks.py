import wcwidth

from app.formats.aligned import FormatOptions
from app.formats.text_blocks import heat_map, legend, text_blocks
from model.words import Token
from tests.app.formats import aligned_texts as texts


def plain(source, target, weights, width: int = 80) -> list[str]:
    tokens = [tuple(Token(text, 0, 0) for text in side) for side in (source, target)]
    one = texts.segment(*tokens, weights=[[*row, 0.0] for row in weights])
    return [line.plain for line in heat_map(one.alignment, width)]


def test_source_tokens_stand_above_their_columns_and_weights_are_shaded():
    assert plain(["a", "cat"], ["un", "chat"], [[1.0, 0.0], [0.3, 0.7]]) == [
        "       c",
        "       a",
        "     a t",
        "un   ██  ",
        "chat ░░▓▓",
    ]


def test_characters_are_counted_as_the_terminal_shows_them():
    family = "👨\u200d👩\u200d👧\u200d👦"
    assert plain(["猫", family, "e\u0301a"], ["犬"], [[1.0, 0.0, 1.0]]) == [
        "       e\u0301",
        f"   猫{family}a",
        "犬 ██  ██",
    ]


def test_no_line_is_wider_than_the_terminal():
    source = ["extraordinarily", "naïve", "猫", "😀", "ש"] * 10
    target = ["anticonstitutionnellement", "chat", "猫"]
    for width in (8, 20, 40, 79):
        lines = plain(source, target, [[1 / 50] * 50] * 3, width=width)
        assert max(map(wcwidth.width, lines)) <= width
    assert (
        sum(line.startswith("chat") for line in plain(source, target, [[0.02] * 50] * 3, width=40))
        > 1
    )


def test_a_weight_on_a_boundary_gets_the_block_that_the_legend_says():
    [_, row] = plain(["a"] * 5, ["b"], [[0.12, 0.125, 0.375, 0.625, 0.875]])
    assert row == "b   ░░▒▒▓▓██"


def test_an_empty_matrix_draws_nothing():
    assert plain([], [], []) == []


def test_the_form_has_all_segments_and_says_what_the_blocks_mean():
    lines = text_blocks(texts.two_segments(), FormatOptions(width=40)).decode().splitlines()
    assert sum(line.startswith("Le ") for line in lines) == 2
    assert lines[-1] == [line.plain for line in legend(40)][-1]
    for width in (20, 40, 79):
        written = text_blocks(texts.two_segments(), FormatOptions(width=width)).decode()
        assert max(map(wcwidth.width, written.splitlines())) <= width
    assert "" in lines
