"""The tokenizer is the same every time and says what is wrong with a vocabulary's size."""

import pytest

from model.tokenizer import Tokenizer
from training.config import TokenizerConfig
from training.tokenizer_training import TokenizerTrainingError, train_tokenizer


@pytest.fixture(scope="module")
def sentences(pairs):
    return [sentence for pair in pairs for sentence in pair]


@pytest.fixture(scope="module")
def tokenizer(sentences):
    return Tokenizer(train_tokenizer(sentences, TokenizerConfig(vocabulary_size=500)))


def test_size_and_special_ids_are_those_of_the_configuration(tokenizer):
    assert tokenizer.size == 500
    assert (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id) == (0, 1, 2, 3)


def test_no_character_is_unknown(tokenizer):
    text = "Zürich 😀 漢字 {a} @b"
    ids = tokenizer.encode(text)
    assert tokenizer.unk_id not in ids
    assert tokenizer.decode(ids) == text


def test_digits_are_pieces_of_their_own(tokenizer):
    assert len(tokenizer.encode("1234567")) >= 7


def test_french_spaces_are_folded(tokenizer):
    assert tokenizer.encode("Va\u202f!") == tokenizer.encode("Va !")


def test_equal_input_gives_equal_bytes(sentences):
    config = TokenizerConfig(vocabulary_size=400, max_sentences=1000)
    more = sentences * 3  # so that a thousand of them are drawn at random
    assert train_tokenizer(more, config) == train_tokenizer(more, config)


def test_nothing_is_printed(sentences, capfd):
    train_tokenizer(sentences, TokenizerConfig(vocabulary_size=400))
    assert capfd.readouterr() == ("", "")


def test_too_large_a_vocabulary_names_the_setting_and_the_limit():
    with pytest.raises(TokenizerTrainingError) as caught:
        train_tokenizer(["a small corpus"], TokenizerConfig(vocabulary_size=8000))
    message = str(caught.value)
    assert "tokenizer.vocabulary_size is 8000" in message
    limit = int(message.split("set it to ")[1].split()[0])
    train_tokenizer(["a small corpus"], TokenizerConfig(vocabulary_size=limit))


def test_too_small_a_vocabulary_names_the_setting_and_the_least(sentences):
    with pytest.raises(TokenizerTrainingError) as caught:
        train_tokenizer(sentences, TokenizerConfig(vocabulary_size=300))
    message = str(caught.value)
    assert "tokenizer.vocabulary_size is 300" in message
    least = int(message.split("set it to ")[1].split()[0])
    train_tokenizer(sentences, TokenizerConfig(vocabulary_size=least))
    with pytest.raises(TokenizerTrainingError):
        train_tokenizer(sentences, TokenizerConfig(vocabulary_size=least - 1))
