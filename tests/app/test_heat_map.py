from rich.cells import cell_len

from app.heat_map import heat_map
from app.schemas import DenseMatrix, EosMass, SourceToken, TargetToken


def matrix(source, target, weights):
    return DenseMatrix(
        segment=0,
        level="word",
        source_tokens=[SourceToken(text=text, start=0, end=0) for text in source],
        target_tokens=[TargetToken(text=text, start=0, end=0, log_prob=0.0) for text in target],
        eos=EosMass(source_mass=[0.0] * len(target), target_row=None),
        weights=weights,
    )


def test_source_tokens_stand_above_their_columns_and_weights_are_shaded():
    drawn = matrix(["a", "cat"], ["un", "chat"], [[1.0, 0.0], [0.3, 0.7]])
    lines = [line.plain for line in heat_map(drawn, 80)]
    assert lines == [
        "       c",
        "       a",
        "     a t",
        "un   ██  ",
        "chat ░░▓▓",
    ]


def test_no_line_is_wider_than_the_terminal():
    source = ["extraordinarily", "naïve", "猫", "😀"] * 10
    target = ["anticonstitutionnellement", "chat", "猫"]
    drawn = matrix(source, target, [[1 / 40] * 40] * 3)
    lines = [line.plain for line in heat_map(drawn, 40)]
    assert max(map(cell_len, lines)) <= 40
    assert sum(line.startswith("chat") for line in lines) > 1


def test_an_empty_matrix_draws_nothing():
    assert list(heat_map(matrix([], [], []), 80)) == []
