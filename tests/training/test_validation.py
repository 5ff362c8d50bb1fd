"""A trained attention aligns, is measured against gold links, and the figures travel along."""

import io

import pytest
from rich.console import Console

from model.checkpoint import load_checkpoint
from training.config_reader import read_config
from training.gold import GoldError
from training.run import train

ANIMALS = ["cat", "dog", "bird", "fish", "horse", "cow"]
VERBS = ["sees", "likes", "hears", "follows"]
TOML = """
run = "reversal"
[data]
train = "pairs.tsv"
validation = "pairs.tsv"
source_language = "en"
target_language = "fr"
[cleaning]
max_pieces = 60
[tokenizer]
vocabulary_size = 380
[model]
embedding_size = 32
encoder_units = 32
decoder_units = 32
attention_units = 32
dropout = 0.1
[training]
max_batch_tokens = 600
max_steps = 150
warmup_steps = 20
learning_rate = 0.01
ema_decay = 0.9
threads = 1
[validation]
max_pairs = 4
beam_size = 1
samples = 1
gold_align = "gold"
"""


@pytest.fixture
def folder(tmp_path):
    """A language of other words whose order is reversed, with twelve sentences aligned by hand."""
    french = {word: word[::-1].upper() for word in [*ANIMALS, *VERBS]}
    sentences = [[a, v, b] for a in ANIMALS for v in VERBS for b in ANIMALS]
    lines = [
        " ".join(words) + "\t" + " ".join(french[word] for word in reversed(words))
        for words in sentences
    ]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines) + "\n")
    (tmp_path / "run.toml").write_text(TOML)
    (tmp_path / "gold").mkdir()
    for name, column in (("src.txt", 0), ("tgt.txt", 1)):
        chosen = [line.split("\t")[column] for line in lines[::12]]
        (tmp_path / "gold" / name).write_text("\n".join(chosen) + "\n")
    (tmp_path / "gold" / "gold.txt").write_text("0-2 1-1 2-0\n" * 12)
    return tmp_path


def test_trained_attention_finds_the_reversed_words(folder):
    output = io.StringIO()
    config = read_config(folder / "run.toml")
    checkpoint = load_checkpoint(train(config, Console(file=output, width=120)))
    metrics = checkpoint.manifest.metrics
    assert metrics["aer"] < 20
    assert metrics["alignment_shift"] == 0
    assert checkpoint.manifest.name == "reversal"
    assert f"AER {metrics['aer']:.1f}" in output.getvalue()


def test_a_broken_gold_folder_stops_the_run_before_it_prepares(folder):
    (folder / "gold" / "gold.txt").unlink()
    with pytest.raises(GoldError, match=r"gold\.txt"):
        train(read_config(folder / "run.toml"), Console(quiet=True))
    assert not (folder / "reversal" / "prepared").exists()
