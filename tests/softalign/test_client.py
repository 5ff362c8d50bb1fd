import pytest

from softalign import (
    Client,
    FailedText,
    InvalidRequestError,
    NoAlignmentError,
    NotFoundError,
    UnexpectedAnswerError,
)
from softalign.calls import Call
from tests.app.answers import check_matrix
from tests.softalign.conftest import Flaky

TEXT = "The cat sleeps on the sofa. A dog!\n\nIt rains 👩‍🚀 cats and dogs."


def test_a_translation_has_text_languages_and_segments(client):
    translation = client.translate(TEXT, beam_size=2, n_best=2)
    assert translation.source == TEXT
    assert (translation.source_lang, translation.target_lang) == ("en", "fr")
    assert translation.model.startswith("tiny@")
    assert [TEXT[one.source_start : one.source_end] for one in translation.segments] == [
        "The cat sleeps on the sofa.",
        "A dog!",
        "It rains 👩‍🚀 cats and dogs.",
    ]
    assert translation.hypotheses[0] is translation
    assert translation.hypotheses[1].score <= translation.score


def test_rows_of_the_matrix_are_target_tokens_of_the_whole_text(client):
    translation = client.translate(TEXT)
    alignment = translation.alignment
    matrix = translation.matrix
    assert matrix.shape == (len(alignment.target_tokens), len(alignment.source_tokens))
    ends = [mass for one in alignment.segments for mass in one.eos]
    assert matrix.sum(axis=1) + ends == pytest.approx(1.0, abs=1e-4)
    for token in alignment.source_tokens:
        assert TEXT[token.start : token.end] == token.text
    for token in alignment.target_tokens:
        assert translation.text[token.start : token.end] == token.text


@pytest.mark.parametrize("options", [{}, {"threshold": 0.02}, {"level": "piece", "n_best": 3}])
def test_links_are_those_that_the_service_makes(client, options):
    for hypothesis in client.translate(TEXT, **options).hypotheses:
        lines = client.form(hypothesis, "pharaoh").decode().splitlines()
        told, sources, targets = set(), 0, 0
        for line, segment in zip(lines, hypothesis.alignment.segments, strict=True):
            pairs = [tuple(map(int, pair.split("-"))) for pair in line.split()]
            told |= {(source + sources, target + targets) for source, target in pairs}
            sources += len(segment.source_tokens)
            targets += len(segment.target_tokens)
        own = {(one.source_index, one.target_index) for one in hypothesis.links}
        assert {target for _, target in own} == {target for _, target in told}
        # An untrained network weighs sources nearly alike, and what is stored has half precision.
        for source, target in own ^ told:
            others = [one for one, whose in own | told if whose == target]
            weights = hypothesis.matrix[target, others]
            assert hypothesis.matrix[target, source] == pytest.approx(weights.max(), abs=1e-3)
        assert len(own ^ told) < len(own) / 2


def test_a_sparse_matrix_leaves_small_weights_out(client):
    sparse = client.translate(TEXT, form="sparse", threshold=0.05).matrix
    dense = client.translate(TEXT).matrix
    assert sparse == pytest.approx(dense * (dense >= 0.05), abs=1e-6)


def test_several_texts_go_in_one_request(client):
    one, other = client.translate(["A cat.", "A dog."])
    assert (one.id, one.index, other.index) == (other.id, 0, 1)
    assert (one.source, other.source) == ("A cat.", "A dog.")


def test_a_text_that_fails_can_stand_among_the_others(client):
    done, failed = client.translate(["A cat.", " "], on_error="partial")
    assert done.text
    assert failed == FailedText("/text/1", "empty_text", failed.message)


def test_what_is_wrong_is_an_exception_that_names_the_place(client):
    with pytest.raises(InvalidRequestError, match=r"/text/1") as caught:
        client.translate(["A cat.", ""])
    assert (caught.value.status, caught.value.code) == (422, "empty_text")
    assert caught.value.request_id


def test_an_option_that_there_is_not_is_a_type_error(client):
    with pytest.raises(TypeError, match="beam_sise"):
        client.translate("A cat.", beam_sise=3)


def test_an_alignment_can_be_left_out(client):
    translation = client.translate("A cat.", align=False)
    with pytest.raises(NoAlignmentError):
        _ = translation.links


def test_a_pair_is_aligned_and_scored(client):
    pair = client.align("The cat sleeps.", "Le chat dort.")
    assert pair.perplexity > 1.0
    assert [one.text for one in pair.alignment.target_tokens] == ["Le", "chat", "dort", "."]
    assert all(one.log_prob < 0.0 for one in pair.alignment.target_tokens)
    many = client.align_many([("The cat sleeps.", "Le chat dort."), ("A dog.", "Un chien.")])
    assert many[0].matrix == pytest.approx(pair.matrix, abs=1e-5)
    assert many[1].source == "A dog."


def test_what_is_stored_can_be_fetched_listed_and_deleted(client):
    made = [client.translate(f"The cat sees {number} dogs.") for number in range(5)]
    client.translate("A cat.", store=False)
    listed = list(client.translations(source_lang="en", page_size=2))
    assert [one.id for one in listed] == [one.id for one in reversed(made)]
    assert listed[0].preview == "The cat sees 4 dogs."
    assert list(client.translations(source_lang="de")) == []
    [fetched] = client.get(made[0].id)
    assert (fetched.text, fetched.links, fetched.source) == (made[0].text, made[0].links, None)
    client.delete(made[0].id)
    with pytest.raises(NotFoundError):
        client.get(made[0].id)
    with pytest.raises(NotFoundError):
        client.delete(made[0].id)
    assert client.delete_all() == 4


def test_a_stored_alignment_can_be_had_at_another_level(client):
    translation = client.translate("The cat sleeps.")
    pieces = client.alignment(translation.id, level="piece")
    assert pieces.level == "piece"
    assert len(pieces.target_tokens) >= len(translation.alignment.target_tokens)


def test_the_service_tells_of_itself(client):
    [model] = client.models()
    assert (model.name, model.alignment_kinds) == ("tiny", ("attention",))
    assert client.languages() == {"en": ("fr",)}
    assert client.limits()["max_texts"] == 32


def test_the_same_key_gives_the_same_answer(client):
    one = client.translate("A cat.", idempotency_key="mine-1")
    assert client.translate("A cat.", idempotency_key="mine-1").id == one.id


def test_a_key_is_sent_in_a_header_and_never_shown(address):
    network = Flaky()
    with Client(address, api_key="sk-secret", transport=network) as client:
        with pytest.raises(Exception, match="401 unauthorized") as caught:
            client.models()
        assert "secret" not in repr(client) + str(caught.value)
    [request] = network.requests
    assert request.headers["Authorization"] == "Bearer sk-secret"
    assert "secret" not in str(request.url)


def test_another_server_is_told_from_the_service(address):
    with Client(f"{address}/page") as client, pytest.raises(Exception, match="404"):
        client.models()
    with Client(address) as client, pytest.raises(UnexpectedAnswerError, match="without JSON"):
        client._json(Call(method="GET", path="/"))


def test_spans_are_in_the_asked_unit(client):
    translation = client.translate("👩‍🚀 cat.", offset_encoding="utf-16")
    cat = next(one for one in translation.alignment.source_tokens if one.text == "cat")
    assert cat.start == len("👩‍🚀 ".encode("utf-16-le")) // 2


def test_the_answers_hold_what_every_answer_must(client):
    translation = client.translate("The cat sleeps.")
    [segment] = translation.alignment.segments
    matrix = {
        "source_tokens": [as_document(one) for one in segment.source_tokens],
        "target_tokens": [as_document(one) for one in segment.target_tokens],
        "weights": segment.weights,
        "eos": {"source_mass": segment.eos, "target_row": segment.eos_row},
    }
    check_matrix(matrix, translation.source, translation.text)


def as_document(token):
    return {
        "text": token.text,
        "start": token.start,
        "end": token.end,
        "log_prob": token.log_prob,
    }
