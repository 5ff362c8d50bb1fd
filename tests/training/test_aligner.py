"""Word links from eflomal and from a file, and what is said when neither is to be had."""

import pytest

from training.aligner import AlignerError, aligner_words, eflomal_links, pharaoh_links


def test_words_are_parted_at_every_mark_and_keep_their_place():
    text = "Don't stop, well-known  l'été!"
    tokens = aligner_words(text)
    parts = ["Don", "'", "t", "stop", ",", "well", "-", "known", "l", "'", "été", "!"]
    assert [token.text for token in tokens] == parts
    assert all(text[token.start : token.end] == token.text for token in tokens)


def test_eflomal_links_words_that_occur_together():
    pytest.importorskip("eflomal", reason="the extra `align` is not installed")
    french = {"cat": "chat", "dog": "chien", "sees": "voit", "hears": "entend", "the": "le"}
    animals, verbs = ["cat", "dog"], ["sees", "hears"]
    source = [f"the {a} {v} the {b}" for a in animals for v in verbs for b in animals] * 20
    target = [" ".join(french[word] for word in text.split()) for text in source]
    linked = list(eflomal_links(source, target))
    diagonal = {(index, index) for index in range(5)}
    assert sum(links == diagonal for links in linked) > 0.9 * len(linked)


def test_without_eflomal_the_way_out_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("training.aligner.import_module", missing)
    with pytest.raises(AlignerError, match=r"softalign\[align\]"):
        next(eflomal_links(["a"], ["b"]))


def test_a_pharaoh_file_gives_its_links(tmp_path):
    path = tmp_path / "links"
    path.write_text("0-0 1p2\n\n3-1\n")
    assert list(pharaoh_links(path, 3)) == [{(0, 0), (1, 2)}, set(), {(3, 1)}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0-0\n", "has 1 lines and the prepared corpus 2 pairs"),
        ("0-0\n0~1\n", r"links:2: link 1 is '0~1'"),
    ],
)
def test_a_file_that_does_not_fit_is_named(tmp_path, text, message):
    path = tmp_path / "links"
    path.write_text(text)
    with pytest.raises(AlignerError, match=message):
        list(pharaoh_links(path, 2))


def test_a_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(AlignerError, match="nowhere"):
        list(pharaoh_links(tmp_path / "nowhere", 2))
