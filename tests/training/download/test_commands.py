"""The command as a person runs it, against a server on this machine."""

import gzip
import io
import json
import sys
import zipfile

import pytest

from tests.training.download.faulty_server import FaultyServer
from training.__main__ import main
from training.cleaning_report import CleaningReport
from training.corpus import Pair, read_pairs
from training.download import commands
from training.download.public_corpora import read_table


@pytest.fixture
def server():
    with FaultyServer() as server:
        yield server


@pytest.fixture
def command(server, monkeypatch, capsys, tmp_path):
    """Runs `python -m training download` with all addresses on this machine."""
    table = read_table()
    here = server.address
    table["multi30k"]["address"] = here + "/{part}.{language}.gz"
    table["tatoeba"]["address"] = here + "/{code}-eng.zip"
    table["opus"]["address"] = here + "/opusapi/"
    monkeypatch.setattr(commands, "read_table", lambda: table)
    monkeypatch.setattr(commands.console, "soft_wrap", True)
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["training", "download", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, capsys.readouterr().err.replace("\n", " ")

    return run


def archive(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text)
    return buffer.getvalue()


def tatoeba(count):
    lines = (
        f"Sentence {i // 2}.\tPhrase {i}.\tCC-BY 2.0 (France) by writer{i}\n" for i in range(count)
    )
    return archive({"fra.txt": "".join(lines), "_about.txt": "Thank those who wrote these."})


def pairs(path):
    return list(read_pairs((path,), CleaningReport()))


def test_tatoeba_is_cut_in_three_without_a_shared_sentence(command, server, tmp_path):
    server.serve("/fra-eng.zip", tatoeba(2000))
    status, errors = command("tatoeba/en-fr", "--held-out", 100)
    assert status == 0, errors
    folder = tmp_path / "data" / "tatoeba" / "en-fr"
    parts = {name: pairs(folder / f"{name}.tsv") for name in ("train", "validation", "test")}
    assert sum(map(len, parts.values())) == 2000
    assert 50 < len(parts["validation"]) < 150
    assert 50 < len(parts["test"]) < 150
    sources = [{pair.source for pair in part} for part in parts.values()]
    assert not sources[0] & sources[1]
    assert not (sources[0] | sources[1]) & sources[2]
    assert all(pair.origin == "tatoeba" for pair in parts["train"])
    assert "by writer0" in (folder / "train.tsv").read_text("utf-8")
    licence = (folder / "LICENCE.txt").read_text("utf-8")
    assert "CC BY 2.0 France" in licence
    assert "Thank those who wrote these." in licence
    assert f"{server.address}/fra-eng.zip" in licence
    assert "CC BY 2.0 France" in errors
    assert "no SHA-256 was known" in errors


def test_the_second_time_nothing_is_fetched_and_all_files_are_the_same(command, server, tmp_path):
    served = server.serve("/fra-eng.zip", tatoeba(200))
    command("tatoeba/en-fr")
    before = (tmp_path / "data/tatoeba/en-fr/train.tsv").read_bytes()
    status, errors = command("tatoeba/en-fr")
    assert status == 0
    assert "fra-eng.zip is here already" in errors
    assert len(served.requests) == 1
    assert (tmp_path / "data/tatoeba/en-fr/train.tsv").read_bytes() == before


def test_the_other_direction_has_the_columns_swapped(command, server, tmp_path):
    server.serve("/fra-eng.zip", tatoeba(100))
    command("tatoeba/fr-en", "--output", tmp_path / "here")
    assert pairs(tmp_path / "here" / "train.tsv")[0].source.startswith("Phrase")


def test_a_corpus_that_changed_since_it_was_recorded_is_refused(command, server, tmp_path):
    server.serve("/fra-eng.zip", tatoeba(100))
    command("tatoeba/en-fr")
    folder = tmp_path / "data/tatoeba/en-fr"
    (folder / "downloads" / "fra-eng.zip").unlink()
    server.serve("/fra-eng.zip", tatoeba(102))
    status, errors = command("tatoeba/en-fr")
    assert status == 6
    assert "is on record" in errors
    assert "deletes its line in SHA256SUMS" in errors
    (folder / "SHA256SUMS").unlink()
    assert command("tatoeba/en-fr")[0] == 0


def test_multi30k_keeps_its_own_cut(command, server, tmp_path):
    for part, count in (("train", 30), ("val", 10), ("test_2016_flickr", 10)):
        for language in ("en", "de"):
            lines = "".join(f"{part} {language} {i}\n" for i in range(count))
            server.serve(f"/{part}.{language}.gz", gzip.compress(lines.encode()))
    status, errors = command("multi30k/en-de")
    assert status == 0, errors
    folder = tmp_path / "data/multi30k/en-de"
    assert len(pairs(folder / "train.tsv")) == 30
    assert pairs(folder / "validation.tsv")[3] == Pair("val en 3", "val de 3", "multi30k")
    assert len(pairs(folder / "test.tsv")) == 10
    assert "states no licence" in (folder / "LICENCE.txt").read_text("utf-8")


def opus(first, second):
    return archive(
        {
            "README": "Books of OPUS",
            "LICENSE": "The books are in the public domain.",
            "Books.de-en.de": first,
            "Books.de-en.en": second,
        }
    )


def test_opus_tells_where_its_corpus_lies(command, server, tmp_path):
    found = {"corpora": [{"url": f"{server.address}/OPUS-Books/de-en.txt.zip"}]}
    asked = server.serve("/opusapi/", json.dumps(found).encode())
    text = "".join(f"Zeile\u2028 {i}\two\n" for i in range(50))
    server.serve("/OPUS-Books/de-en.txt.zip", opus(text, text.replace("Zeile", "Line")))
    status, errors = command("opus/Books/en-de")
    assert status == 0, errors
    assert len(asked.requests) == 1
    rows = pairs(tmp_path / "data/opus/Books/en-de/train.tsv")
    assert rows[0].source.startswith("Line\u2028")
    assert rows[0].target.endswith("wo")
    assert rows[0].origin == "Books"
    licence = (tmp_path / "data/opus/Books/en-de/LICENCE.txt").read_text("utf-8")
    assert "The books are in the public domain." in licence


@pytest.mark.parametrize(
    ("api", "content", "message"),
    [
        (b'{"corpora": []}', b"", "OPUS has no corpus 'Books' for de-en"),
        (b"<html>", b"", "OPUS does not tell where it is"),
        (None, b"not a zip", "no whole zip archive"),
        (None, opus("a\nb\n", "a\n"), "has 2 lines but Books.de-en.en has 1"),
        (None, archive({"README": "empty"}), "no texts .de-en.de and .de-en.en in it, only README"),
    ],
)
def test_what_is_wrong_with_an_opus_corpus_is_one_line(command, server, api, content, message):
    found = json.dumps({"corpora": [{"url": f"{server.address}/x.zip"}]}).encode()
    server.serve("/opusapi/", found if api is None else api)
    server.serve("/x.zip", content)
    status, errors = command("opus/Books/en-de")
    assert status == 6
    assert message in errors


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("multi3k/en-de", "did you mean 'multi30k'?"),
        ("multi30k", "names no language pair"),
        ("multi30k/en-en", "names no language pair"),
        ("multi30k/en-xx", "no 'xx' there; it has cs, de, en, fr"),
        ("tatoeba/de-fr", "one side of these pairs is always English"),
        ("opus/en-fr", "is no name of a corpus"),
        ("tatoeba/a/b/en-fr", "is no name of a corpus"),
    ],
)
def test_a_name_that_does_not_exist_says_which_do(command, name, message):
    status, errors = command(name)
    assert status == 2
    assert message in errors


def test_the_list_names_corpora_that_are_understood(command):
    status, errors = command("--list")
    assert status == 0
    for name in ("multi30k/en-de", "tatoeba/en-fr", "opus/Books/en-fr"):
        assert name in errors


def test_without_a_name_the_list_is_pointed_to(command):
    status, errors = command()
    assert status == 2
    assert "--list" in errors
