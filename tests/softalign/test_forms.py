"""Forms of results: saved to files, and as a notebook shows them."""

import builtins
import io
import re
from html import unescape

import numpy as np
import pytest

from softalign import Client, NotStoredError
from softalign.alignment import as_matrix
from softalign.calls import FORM_OF_ENDING

BEGINNINGS = {
    "json": b'{"version":1',
    "txt": b"",
    "csv": b"segment,",
    "tsv": b"segment\t",
    "pharaoh": b"",
    "proj": b"",
    "html": b"<!DOCTYPE html>",
    "svg": b"<?xml",
    "png": b"\x89PNG",
    "npy": b"\x93NUMPY",
    "npz": b"PK",
}


@pytest.mark.parametrize("ending", FORM_OF_ENDING)
def test_the_ending_of_a_file_names_the_form(client, tmp_path, ending):
    path = tmp_path / f"alignment.{ending.upper()}"
    client.translate("The cat sleeps.").save(path)
    assert path.read_bytes().startswith(BEGINNINGS[ending])
    assert path.stat().st_size > 0


def test_another_ending_is_refused_with_those_that_there_are(client, tmp_path):
    translation = client.translate("The cat sleeps.")
    for name in ("alignment.pdf", "alignment"):
        with pytest.raises(ValueError, match=r"\.svg, \.png"):
            translation.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_forms_are_of_the_alignment_that_was_asked_for(client):
    translation = client.translate("The cat sleeps.", level="piece")
    stored = np.load(io.BytesIO(client.form(translation, "npy")))
    assert stored == pytest.approx(translation.matrix, abs=5e-4)
    words = np.load(io.BytesIO(client.form(translation, "npy", level="word")))
    assert words.shape != stored.shape


def test_an_alternative_has_forms_of_its_own(client):
    translation = client.translate("The cat sleeps.", n_best=2)
    stored = np.load(io.BytesIO(client.form(translation.alternatives[0], "npy")))
    assert stored == pytest.approx(translation.alternatives[0].matrix, abs=5e-4)


def test_each_of_several_texts_has_its_own_forms(client):
    for translation in client.translate(["The cat sleeps.", "A dog."]):
        stored = np.load(io.BytesIO(client.form(translation, "npy")))
        assert stored == pytest.approx(translation.matrix, abs=5e-4)


def test_a_stored_translation_that_was_fetched_has_forms(client, tmp_path):
    translation = client.translate("The cat sleeps.", level="piece")
    [fetched] = client.get(translation.id)
    fetched.save(tmp_path / "alignment.npy")
    assert np.load(tmp_path / "alignment.npy") == pytest.approx(translation.matrix, abs=5e-4)


def test_a_pair_has_forms_without_being_stored(client, tmp_path):
    pair = client.align("The cat sleeps.", "Le chat dort.")
    pair.save(tmp_path / "pair.npy")
    assert np.load(tmp_path / "pair.npy") == pytest.approx(pair.matrix, abs=1e-5)
    pair.save(tmp_path / "pair.svg", theme="print")
    with pytest.raises(TypeError, match="segment"):
        pair.save(tmp_path / "pair.npy", segment=0)


def test_what_is_not_stored_has_no_forms(client, tmp_path):
    translation = client.translate("The cat sleeps.", store=False)
    with pytest.raises(NotStoredError):
        translation.save(tmp_path / "alignment.svg")


def test_a_notebook_shows_the_interactive_form_in_a_frame_of_its_own(client):
    shown = client.translate("The cat sleeps.")._repr_html_()
    [attributes] = re.findall(r"^<iframe ([^>]*)></iframe>$", shown)
    assert 'sandbox="allow-scripts"' in attributes
    [page] = re.findall(r'srcdoc="([^"]*)"', attributes)
    assert unescape(page).startswith("<!DOCTYPE html>")


def test_without_the_service_a_notebook_shows_a_table(client):
    hostile = '<script>alert("x")</script> & <b>'
    shown = client.translate(hostile, store=False)._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;b&gt;" in shown
    assert shown.count("<td style") == client.translate(hostile, store=False).matrix.size


def test_behind_a_closed_client_a_notebook_shows_a_table(address):
    with Client(address) as client:
        translation = client.translate("The cat sleeps.")
    assert "<iframe" not in translation._repr_html_()


def test_weights_are_tuples_where_numpy_is_missing(monkeypatch):
    imported = builtins.__import__

    def without_numpy(name, *rest, **options):
        if name == "numpy":
            raise ImportError(name)
        return imported(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_numpy)
    assert as_matrix(((0.5, 0.5),), 2) == ((0.5, 0.5),)


def test_an_empty_matrix_keeps_its_columns():
    assert as_matrix((), 3).shape == (0, 3)
