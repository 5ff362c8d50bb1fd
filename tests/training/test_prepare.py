"""Preparation is done once, accounts for every pair, and leaves nothing half done."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from model.tokenizer import Tokenizer
from training.card import model_card
from training.cleaning import normalise
from training.config_reader import read_config
from training.corpus import CorpusError, Pair
from training.fingerprint import differences
from training.prepare import load_prepared, prepare


def run(config):
    output = io.StringIO()
    return prepare(config, Console(file=output, width=120)), output.getvalue()


def test_ids_text_and_account_agree(write_corpus, pairs):
    config = write_corpus()
    prepared, output = run(config)
    tokenizer = Tokenizer(prepared.source_spm)
    texts = (prepared.folder / "train.source.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(prepared.train) == len(texts) == prepared.reports["train"]["kept"]
    assert texts[0] == normalise(pairs[0][0])
    for index, text in enumerate(texts):
        assert prepared.train.source[index].tolist() == [*tokenizer.encode(text), 3]
    for report in prepared.reports.values():
        assert report["read"] == report["kept"] + sum(report["dropped"].values())
    assert "Training pairs" in output


def test_validation_text_is_kept_as_it_was_read(write_corpus, pairs):
    prepared, _ = run(write_corpus())
    assert prepared.validation_pairs() == [Pair(*pair, "ours") for pair in pairs[300:]]
    assert len(prepared.validation_pairs(limit=3)) == 3
    assert len(prepared.validation) == len(pairs) - 300


def test_tabs_within_lines_of_parallel_files_part_no_columns(write_corpus, tmp_path):
    config = write_corpus()
    (tmp_path / "dev.en").write_text("one\ttwo three\nfour\n", encoding="utf-8")
    (tmp_path / "dev.fr").write_text("un\tdeux trois\nquatre\n", encoding="utf-8")
    files = (tmp_path / "dev.en", tmp_path / "dev.fr")
    prepared, _ = run(replace(config, data=replace(config.data, validation=files)))
    assert prepared.validation_pairs() == [
        Pair("one two three", "un deux trois"),
        Pair("four", "quatre"),
    ]


def test_the_second_time_nothing_is_done(write_corpus):
    first, _ = run(write_corpus())
    before = (first.folder / "source.spm").stat().st_mtime_ns
    second, output = run(write_corpus("# a comment changes nothing\n"))
    assert "up to date" in output
    assert second.fingerprint == first.fingerprint
    assert (first.folder / "source.spm").stat().st_mtime_ns == before


def test_changed_data_or_settings_are_named_and_prepared_again(write_corpus, tmp_path):
    first, _ = run(write_corpus())
    write_corpus("[cleaning]\nmax_pieces = 20\n")
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("One more.\tEncore une.\n")
    second, output = run(read_config(tmp_path / "config.toml"))
    changed = {line.split(":")[0] for line in differences(first.components, second.components)}
    assert changed == {"cleaning.max_pieces", "data.train[0]"}
    assert "cleaning.max_pieces: 150 → 20" in output
    assert second.reports["train"]["dropped"]["too_many_pieces"] > 0


def test_a_joint_tokenizer_serves_both_sides(write_corpus):
    prepared, _ = run(write_corpus())
    assert prepared.source_spm == prepared.target_spm


def test_separate_tokenizers_each_know_their_side(write_corpus, tmp_path):
    write_corpus()
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    text = text.replace("vocabulary_size = 500", "vocabulary_size = 420\njoint = false")
    text = text.replace("[model]", "[model]\nshare_embeddings = false")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    prepared, _ = run(read_config(tmp_path / "config.toml"))
    assert prepared.source_spm != prepared.target_spm
    assert Tokenizer(prepared.target_spm).size == 420


def test_reverse_trains_the_other_direction(write_corpus, tmp_path, pairs):
    write_corpus()
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    (tmp_path / "config.toml").write_text(
        text.replace("[data]", "[data]\nreverse = true"), encoding="utf-8"
    )
    prepared, _ = run(read_config(tmp_path / "config.toml"))
    assert prepared.validation_pairs(limit=1)[0].source == pairs[300][1]


def test_a_side_without_a_piece_is_empty(write_corpus, tmp_path):
    config = write_corpus()
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("\u200b\u200b\tun mot\n")
    prepared, _ = run(config)
    assert prepared.reports["train"]["dropped"] == {"empty": 1}
    assert prepared.train.source.lengths.min() > 1


def test_overlap_with_validation_is_noted(write_corpus, tmp_path):
    config = write_corpus()
    untidy = b"Two  spaces here\tDeux\xc2\xa0espaces ici !\tours\n"
    with (tmp_path / "validation.tsv").open("ab") as file:
        file.write(untidy)
    with (tmp_path / "train.tsv").open("ab") as file:
        file.write((tmp_path / "validation.tsv").read_bytes().split(b"\n")[0] + b"\n" + untidy)
    _, output = run(config)
    assert "2 training pairs are validation pairs too" in output


@pytest.mark.parametrize("name", ["train.source.ids", "validation.target.offsets", "source.spm"])
def test_a_prepared_file_that_is_cut_off_is_said(write_corpus, name):
    config = write_corpus()
    run(config)
    path = config.prepared_folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 16 * 8])
    with pytest.raises(CorpusError, match="delete it and prepare again"):
        load_prepared(config)


def test_a_failure_leaves_the_prepared_corpus_as_it_was(write_corpus, tmp_path):
    config = write_corpus()
    first, _ = run(config)
    (tmp_path / "train.tsv").write_bytes(b"no tab here\n")
    with pytest.raises(CorpusError, match=r"train\.tsv:1: no tab"):
        run(config)
    assert load_prepared(config).fingerprint == first.fingerprint


def test_nothing_left_after_cleaning_is_an_error(write_corpus, tmp_path):
    config = write_corpus()
    (tmp_path / "train.tsv").write_bytes(b"\tx\n" * 5)
    with pytest.raises(CorpusError, match="no training pair is left"):
        run(config)


def test_a_corpus_that_was_not_prepared_says_so(write_corpus):
    with pytest.raises(CorpusError, match="not a prepared corpus"):
        load_prepared(write_corpus())


def test_pairs_with_made_up_names_stand_behind_the_corpus(write_corpus, tmp_path):
    first, _ = run(write_corpus())
    names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.writelines(f"Ask {one}urban.\tDemande à {one}urban.\n" for one in names)
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    settings = tmp_path / "config.toml"
    settings.write_text(text.replace("[data]", "[data]\nmade_up_names = 1.0"), encoding="utf-8")
    config = read_config(settings)
    prepared, output = run(config)
    report = prepared.reports["train"]
    assert report["kept"] == first.reports["train"]["kept"] + len(names)
    assert report["added"] >= len(names)
    assert len(prepared.train) == report["kept"] + report["added"]
    assert "added: with made-up names" in output
    texts = (prepared.folder / "train.source.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert len(texts) == len(prepared.train)
    made = [text for text in texts[report["kept"] :] if text.startswith("Ask ")]
    assert len(made) == len(names)
    assert len(set(made) - set(texts[: report["kept"]])) > len(names) // 2
    tokenizer = Tokenizer(prepared.source_spm)
    assert prepared.train.source[len(texts) - 1].tolist() == [*tokenizer.encode(texts[-1]), 3]
    card = model_card(config, prepared, {})
    assert f"Further {report['added']} are versions of those with made-up names" in card
    settings.write_text(text, encoding="utf-8")
    changes = differences(run(read_config(settings))[0].components, prepared.components)
    assert changes == ["data.made_up_names: absent → 1.0"]


def test_pairs_with_rare_names_stand_behind_the_corpus_again(write_corpus, tmp_path):
    write_corpus()
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("The trains go to Greece.\tLes trains vont en Grèce.\n")
    settings = tmp_path / "config.toml"
    text = settings.read_text(encoding="utf-8")
    plain, _ = run(read_config(settings))
    settings.write_text(text.replace("[data]", "[data]\nrare_names = 4"), encoding="utf-8")
    config = read_config(settings)
    prepared, output = run(config)
    report = prepared.reports["train"]
    assert report["repeated"] >= 3
    assert len(prepared.train) == len(plain.train) + report["repeated"]
    texts = (prepared.folder / "train.source.txt").read_text(encoding="utf-8").split("\n")[:-1]
    assert texts[len(plain.train) :].count("The trains go to Greece.") == 3
    assert "added: again, for rare names" in output
    card = model_card(config, prepared, {})
    assert f"Further {report['repeated']} repeat those with rare names" in card
    changes = differences(plain.components, prepared.components)
    assert changes == ["data.rare_names: absent → 4"]


def test_a_corpus_without_names_says_that_none_are_made_up(write_corpus, tmp_path):
    write_corpus()
    text = (tmp_path / "config.toml").read_text(encoding="utf-8")
    settings = tmp_path / "config.toml"
    settings.write_text(text.replace("[data]", "[data]\nmade_up_names = 1.0"), encoding="utf-8")
    corpus = tmp_path / "train.tsv"
    corpus.write_text(corpus.read_text(encoding="utf-8").lower(), encoding="utf-8")
    prepared, output = run(read_config(settings))
    assert prepared.reports["train"]["added"] == 0
    assert "no pair has a made-up name" in output
