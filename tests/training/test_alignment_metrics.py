"""Sets of gold links keep their own figures, however their folders are called."""

from pathlib import Path

from model.alignment import GoldLinks
from model.alignment_head import AlignmentHead
from model.checkpoint import load_checkpoint
from training.alignment_metrics import alignment_metrics, told_apart
from training.gold import GoldSentence


def test_a_folder_is_called_by_its_name_alone_where_that_tells_it_apart():
    paths = [Path("gold/stories"), Path("/elsewhere/parliament")]
    assert list(told_apart(paths).values()) == ["stories", "parliament"]


def test_folders_of_one_name_are_called_by_those_above_them():
    paths = [Path("a/gold"), Path("b/gold"), Path("gold")]
    assert list(told_apart(paths).values()) == ["a/gold", "b/gold", "gold"]
    assert told_apart([]) == {}


def test_two_folders_of_one_name_have_two_figures(tiny_checkpoint):
    checkpoint = load_checkpoint(tiny_checkpoint)
    links = frozenset({(0, 0)})
    gold = {
        Path(folder): [GoldSentence("the cat", "le chat", GoldLinks(links, links))]
        for folder in ("a/gold", "b/gold")
    }
    head = AlignmentHead(checkpoint.manifest.config, 4)
    for of_kind in alignment_metrics(checkpoint, gold, head, 0.4).values():
        assert of_kind["sets"].keys() == {"a/gold", "b/gold"}
