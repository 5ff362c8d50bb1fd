"""A training file is read exactly, and every mistake in it is named with its cure."""

from pathlib import Path

import pytest

from training.config import ConfigError
from training.config_reader import read_config

DATA = """
[data]
train = "train.tsv"
validation = ["validation.en", "/elsewhere/validation.fr"]
source_language = "en"
target_language = "fr"
"""


def read(folder: Path, text: str):
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return read_config(path)


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path):
    config = read(tmp_path, 'run = "runs/a"' + DATA)
    assert config.run == tmp_path / "runs/a"
    assert config.data.train == (tmp_path / "train.tsv",)
    assert config.data.validation == (
        tmp_path / "validation.en",
        Path("/elsewhere/validation.fr"),
    )


def test_the_defaults_are_the_documented_recipe(tmp_path):
    config = read(tmp_path, 'run = "a"' + DATA)
    assert config.training.learning_rate == 2e-3
    assert config.training.warmup_steps == 400
    assert config.training.ema_decay == 0.999
    assert config.tokenizer.vocabulary_size == 8000
    assert config.model.source_vocabulary_size == 8000


def test_an_integer_is_taken_where_a_float_is_wanted(tmp_path):
    config = read(tmp_path, 'run = "a"' + DATA + "[training]\nclip_norm = 5\n")
    assert type(config.training.clip_norm) is float


def test_the_configuration_becomes_plain_values(tmp_path):
    plain = read(tmp_path, 'run = "a"' + DATA).as_dict()
    assert plain["data"]["train"] == [str(tmp_path / "train.tsv")]
    assert plain["model"]["cell"] == "gru"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('run = "a"' + DATA + "[training]\nlerning_rate = 1\n", "'lerning_rate' in [training]"),
        ('run = "a"' + DATA + "[training]\nlerning_rate = 1\n", "did you mean 'learning_rate'?"),
        ('run = "a"' + DATA + "[training]\ndropout = 0.1\n", "belongs in [model]"),
        ('run = "a"' + DATA + "[model]\neos_id = 5\n", "eos_id follows from the tokenizer"),
        ('run = "a"' + DATA + "[trainer]\n", "did you mean 'training'?"),
        ("run = 3" + DATA, "run is 3, of type int; it must be of type str"),
        (DATA, "missing key 'run'"),
        ('run = "a"', "missing key 'train' in [data]"),
        ('run = "a"\ndata = 3', "must be a section [data]"),
        ('run = "a"' + DATA + '[training]\nseed = "one"\n', "'seed' in [training] is 'one'"),
        ('run = "a"' + DATA + "[training]\nseed = true\n", "of type bool; it must be of type int"),
        ('run = "a"' + DATA + '[training]\ndecay = "linear"\n', "cosine, inverse_sqrt, none"),
        ('run = "a"' + DATA + "[training]\nema_decay = 1.0\n", "[training] ema_decay is 1.0"),
        ('run = "a"' + DATA + "[training]\nmax_steps = 0\n", "max_steps is 0"),
        ('run = "a"' + DATA + "[training]\nlearning_rate = inf\n", "above 0 and finite"),
        ('run = "a"' + DATA + "[head]\nlearning_rate = nan\n", "[head] learning_rate is nan"),
        ('run = "a"' + DATA + "[head]\nrefinement_channels = -1\n", "refinement_channels is -1"),
        ('run = "a"' + DATA + "[head]\nrefinement_steps = 0\n", "refinement_steps is 0"),
        ('run = "a"' + DATA + "[training]\nclip_norm = inf\n", "clip_norm is inf"),
        ('run = "a"' + DATA + '[model]\ncell = "qrnn"\n', "must be one of gru, lstm, rnn"),
        ('run = "a"' + DATA + "[model]\ndropout = 1.5\n", "[model] dropout is 1.5"),
        ('run = "a"' + DATA + "[tokenizer]\nvocabulary_size = 100\n", "above 260"),
        ('run = "a"' + DATA + "[tokenizer]\njoint = false\n", "tokenizer.joint is false"),
        ('run = "a"' + DATA + "[training]\nmax_batch_tokens = 100\n", "cleaning.max_pieces (150)"),
        ('run = "a"' + DATA + "[validation]\nbeam_size = 0\n", "beam_size is 0"),
        ('run = "a"\n[data]\ntrain = ["a", "b", "c"]\n', "missing key 'validation'"),
        (
            'run = "a"' + DATA + '[model]\nattention = "none"\n[validation]\ngold_align = "gold"\n',
            "validation.gold_align needs attention",
        ),
        ('run = "~nosuchuser/a"' + DATA, "run is '~nosuchuser/a': Could not determine home"),
        ("run = ", "Invalid value"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, message):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "run.toml" in str(caught.value)


def test_three_files_are_not_a_corpus(tmp_path):
    text = 'run = "a"' + DATA.replace('"train.tsv"', '["a", "b", "c"]')
    with pytest.raises(ConfigError, match=r"one TSV file or \[source file, target file\]"):
        read(tmp_path, text)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "absent.toml")
