"""Sets of gold links keep their own figures, however their folders are called."""

from pathlib import Path

from training.alignment_metrics import told_apart


def test_a_folder_is_called_by_its_name_alone_where_that_tells_it_apart():
    paths = [Path("gold/stories"), Path("/elsewhere/parliament")]
    assert list(told_apart(paths).values()) == ["stories", "parliament"]


def test_folders_of_one_name_are_called_by_those_above_them():
    paths = [Path("a/gold"), Path("b/gold"), Path("gold")]
    assert list(told_apart(paths).values()) == ["a/gold", "b/gold", "gold"]
    assert told_apart([]) == {}
