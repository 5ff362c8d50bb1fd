"""Which variants a comparison trains, and what it says about settings that make none."""

import pytest

from training.config import ConfigError
from training.textbook.variants import read_variation, variants


def test_every_combination_is_a_variant_and_the_last_setting_varies_fastest(write_corpus):
    config = write_corpus()
    varied = [read_variation("cell=rnn,gru"), read_variation("dropout=0, 0.3")]
    made = variants(config, varied)
    assert [(v.config.model.cell, v.config.model.dropout) for v in made] == [
        ("rnn", 0.0),
        ("rnn", 0.3),
        ("gru", 0.0),
        ("gru", 0.3),
    ]
    assert made[1].label == "tanh · dropout 0.3"
    assert len({variant.key() for variant in made}) == 4


def test_settings_of_training_can_be_varied(write_corpus):
    made = variants(write_corpus(), [read_variation("learning_rate=1e-3,0.01")])
    assert [v.config.training.learning_rate for v in made] == [1e-3, 0.01]


def test_none_is_the_fixed_vector_and_needs_no_gold(write_corpus, tmp_path):
    config = write_corpus(f'[validation]\ngold_align = ["{tmp_path}"]\n')
    fixed, attending = variants(config, [read_variation("attention=none,additive")])
    assert (fixed.label, attending.label) == ("fixed vector", "attention")
    assert fixed.config.validation.gold_align == ()
    assert attending.config.validation.gold_align == (tmp_path,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell", "not of the form key=value"),
        ("cel=rnn,gru", "did you mean 'cell'"),
        ("cell=rnn,elman", "must be one of gru, lstm, rnn"),
        ("dropout=high", "must be of type float"),
        ("cell=rnn,rnn", "names a value twice"),
        ("max_steps=10,20", "the budget"),
        ("threads=1,2", "does not decide"),
    ],
)
def test_wrong_variation_is_refused_with_what_is_wrong(text, message):
    with pytest.raises(ConfigError, match=message):
        read_variation(text)


def test_impossible_combination_is_refused_with_its_name(write_corpus):
    with pytest.raises(ConfigError, match="variant dropout=2"):
        variants(write_corpus(), [read_variation("dropout=0.1,2")])


def test_setting_varied_twice_is_refused(write_corpus):
    twice = [read_variation("cell=rnn"), read_variation("cell=gru")]
    with pytest.raises(ConfigError, match="a setting twice: cell, cell"):
        variants(write_corpus(), twice)
