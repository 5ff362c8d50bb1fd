import io
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sentencepiece import SentencePieceTrainer

from model.tokenizer import Decoded, Encoded, Tokenizer, TokenizerError
from tests.conftest import train
from tests.unicode_texts import NASTY_TEXTS, unicode_texts


def assert_spans_are_sound(text: str, spans: tuple[tuple[int, int], ...]) -> None:
    for start, end in spans:
        assert 0 <= start <= end <= len(text)
        assert text[start:end] == text[start:end].strip()
    for (_, end), (start, _) in pairwise(spans):
        assert end <= start


def assert_every_letter_is_covered(text: str, spans: tuple[tuple[int, int], ...]) -> None:
    covered = {position for start, end in spans for position in range(start, end)}
    letters = {position for position, character in enumerate(text) if character.isalnum()}
    assert letters <= covered


@pytest.mark.parametrize("text", NASTY_TEXTS)
def test_spans_of_nasty_text_slice_the_raw_text(joint_tokenizer, text):
    encoded = joint_tokenizer.encode_with_spans(text)
    assert len(encoded.ids) == len(encoded.pieces) == len(encoded.spans)
    assert_spans_are_sound(text, encoded.spans)
    assert_every_letter_is_covered(text, encoded.spans)
    assert list(encoded.ids) == joint_tokenizer.encode(text)


@settings(max_examples=600)
@given(text=unicode_texts())
def test_spans_survive_any_unicode_through_encode_and_decode(joint_tokenizer, text):
    encoded = joint_tokenizer.encode_with_spans(text)
    assert_spans_are_sound(text, encoded.spans)
    assert_every_letter_is_covered(text, encoded.spans)
    decoded = joint_tokenizer.decode_with_spans(encoded.ids)
    assert decoded.text == joint_tokenizer.decode(encoded.ids)
    assert len(decoded.spans) == len(encoded.ids)
    assert_spans_are_sound(decoded.text, decoded.spans)
    assert_every_letter_is_covered(decoded.text, decoded.spans)


@settings(max_examples=300)
@given(ids=st.lists(st.integers(min_value=0, max_value=499), max_size=40))
def test_any_ids_decode_to_well_formed_text_with_sound_spans(joint_tokenizer, ids):
    decoded = joint_tokenizer.decode_with_spans(ids)
    decoded.text.encode("utf-8")
    assert decoded.text == joint_tokenizer.decode(ids)
    assert len(decoded.spans) == len(ids)
    assert_spans_are_sound(decoded.text, decoded.spans)


@settings(max_examples=200)
@given(text=st.text(st.sampled_from("abcdefg éèàœ .,!?’日👩"), max_size=40))
def test_decode_returns_normal_text_with_single_spaces(joint_tokenizer, text):
    assert joint_tokenizer.decode(joint_tokenizer.encode(text)) == " ".join(text.split())


@pytest.mark.parametrize("rule", ["nmt_nfkc", "nmt_nfkc_cf", "identity"])
def test_spans_are_sound_under_every_normalization_rule(train_joint_tokenizer, rule):
    tokenizer = train_joint_tokenizer(rule)
    for text in NASTY_TEXTS:
        assert_spans_are_sound(text, tokenizer.encode_with_spans(text).spans)


def test_the_first_piece_of_a_word_leaves_the_space_before_it_out(joint_tokenizer):
    text = "The   cat"
    spans = joint_tokenizer.encode_with_spans(text).spans
    assert [text[start:end] for start, end in spans] == ["The", "cat"]


def test_the_last_byte_piece_carries_the_character(joint_tokenizer):
    text = "日"
    encoded = joint_tokenizer.encode_with_spans(text)
    assert encoded.pieces == ("▁", "<0xE6>", "<0x97>", "<0xA5>")
    assert encoded.spans == ((0, 0), (0, 0), (0, 0), (0, 1))
    assert joint_tokenizer.decode_with_spans(encoded.ids) == Decoded(text, encoded.spans)


def test_an_unfinished_byte_sequence_becomes_replacement_characters(joint_tokenizer):
    unfinished = joint_tokenizer.encode("日")[1:3]
    expected = Decoded("\ufffd\ufffd", ((0, 1), (1, 2)))
    assert joint_tokenizer.decode_with_spans(unfinished) == expected


def test_special_ids_have_empty_spans_and_no_text(joint_tokenizer):
    t = joint_tokenizer
    the, cat = t.encode("The cat")
    decoded = t.decode_with_spans([t.bos_id, the, t.unk_id, cat, t.eos_id, t.pad_id])
    assert decoded.text == "The cat"
    assert decoded.spans == ((0, 0), (0, 3), (3, 3), (4, 7), (7, 7), (7, 7))
    assert t.decode([t.bos_id, the, cat, t.eos_id]) == "The cat"


def test_special_symbols_written_in_the_text_are_text(joint_tokenizer):
    t = joint_tokenizer
    ids = t.encode("<s> </s> <unk> <pad> <0x41>")
    assert not {t.bos_id, t.eos_id, t.unk_id, t.pad_id} & set(ids)
    assert t.decode(ids) == "<s> </s> <unk> <pad> <0x41>"


def test_empty_text_has_no_pieces(joint_tokenizer):
    assert joint_tokenizer.encode_with_spans("") == Encoded((), (), ())
    assert joint_tokenizer.decode_with_spans([]) == Decoded("", ())


@pytest.mark.parametrize(("text", "offset"), [("\ud800", 0), ("ab\udfff", 2), ("é👩\ud83d x", 2)])
def test_a_lone_surrogate_is_refused_with_its_offset(joint_tokenizer, text, offset):
    for encode in (joint_tokenizer.encode, joint_tokenizer.encode_with_spans):
        with pytest.raises(TokenizerError, match=f"lone surrogate U[+]D.* at offset {offset};"):
            encode(text)


@pytest.mark.parametrize("index", [-1, 500, 2**31, 2**70])
def test_an_id_out_of_range_is_refused_with_its_position(joint_tokenizer, index):
    for decode in (joint_tokenizer.decode, joint_tokenizer.decode_with_spans):
        with pytest.raises(TokenizerError, match=f"id {index} at position 1 .* 0 to 499"):
            decode([5, index])


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_broken_model_bytes_are_refused(joint_tokenizer, cut):
    with pytest.raises(TokenizerError, match=r"tokenizer model is empty|not a sentencepiece model"):
        Tokenizer(joint_tokenizer.serialized[:cut])


def test_a_broken_or_missing_file_is_named(tmp_path):
    path = tmp_path / "source.spm"
    with pytest.raises(TokenizerError, match=r"cannot read .*source\.spm: No such file"):
        Tokenizer.load(path)
    path.write_bytes(b"not a model")
    with pytest.raises(TokenizerError, match=r"source\.spm: the bytes are not"):
        Tokenizer.load(path)


def serialized_model(**options: object) -> bytes:
    buffer = io.BytesIO()
    usual = {"byte_fallback": True, "pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3}
    SentencePieceTrainer.train(
        sentence_iterator=iter(["a small dog", "un petit chien"]),
        model_writer=buffer,
        vocab_size=290,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **(usual | options),
    )
    return buffer.getvalue()


def test_a_model_that_could_lose_characters_is_refused():
    with pytest.raises(TokenizerError, match=r"0 byte pieces of 256.*byte_fallback=True"):
        Tokenizer(serialized_model(byte_fallback=False))


def test_a_model_without_padding_is_refused():
    with pytest.raises(TokenizerError, match="has no pad_id; train it with"):
        Tokenizer(serialized_model(pad_id=-1))


def test_a_model_round_trips_through_a_file(joint_tokenizer, tmp_path):
    path = tmp_path / "source.spm"
    path.write_bytes(joint_tokenizer.serialized)
    loaded = Tokenizer.load(path)
    assert loaded.serialized == joint_tokenizer.serialized
    assert loaded.size == 500
    assert (loaded.pad_id, loaded.unk_id, loaded.bos_id, loaded.eos_id) == (0, 1, 2, 3)


def test_threads_share_one_tokenizer(joint_tokenizer):
    texts = NASTY_TEXTS * 8
    alone = [joint_tokenizer.encode_with_spans(text) for text in texts]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(joint_tokenizer.encode_with_spans, texts)) == alone


def test_pieces_of_ids_are_those_that_the_text_was_encoded_to(joint_tokenizer):
    encoded = joint_tokenizer.encode_with_spans("The cat sleeps 😀.")
    assert joint_tokenizer.pieces(encoded.ids) == encoded.pieces
    with pytest.raises(TokenizerError, match="id 500 at position 0"):
        joint_tokenizer.pieces([joint_tokenizer.size])


@pytest.mark.parametrize(
    ("text", "open_after"), [("é", [1, 0]), ("€", [1, 2, 0]), ("👍", [1, 2, 3, 0])]
)
def test_bytes_of_a_character_are_open_until_it_is_complete(joint_tokenizer, text, open_after):
    first = joint_tokenizer.encode("<0x00>")  # any pieces that are no bytes
    ids = [4 + byte for byte in text.encode()]
    for length, expected in enumerate(open_after, start=1):
        assert joint_tokenizer.open_bytes(first + ids[:length]) == expected
    assert joint_tokenizer.open_bytes([]) == 0
    assert joint_tokenizer.open_bytes([4 + 0xFF]) == 0
    assert joint_tokenizer.open_bytes([4 + 0xE2, *first]) == 0


@pytest.mark.parametrize(
    ("corpus", "written", "read"),
    [
        ('l\'ami dit "oui" peut-être', "l’ami dit “oui” peut‑être", 'l\'ami dit "oui" peut-être'),
        ("l’ami dit “oui”", "l'ami dit “oui”", "l’ami dit “oui”"),
        ("l'ami et l’amie", "l'ami et l’amie", "l'ami et l’amie"),
    ],
    ids=["plain corpus", "typeset corpus", "mixed corpus"],
)
def test_quotes_the_corpus_hardly_has_are_read_as_those_it_has(corpus, written, read):
    tokenizer = train([(corpus, corpus)] * 100, size=300, hard_vocab_limit=False)
    encoded = tokenizer.encode_with_spans(written)
    assert tokenizer.decode(encoded.ids) == read
    assert tokenizer.encode(written) == list(encoded.ids)
    assert tokenizer.encode_all([written, "l", ""]) == [
        list(encoded.ids),
        tokenizer.encode("l"),
        [],
    ]
    assert_spans_are_sound(written, encoded.spans)
    assert_every_letter_is_covered(written, encoded.spans)
