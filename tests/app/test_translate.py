"""`POST /v1/translate`: what every answer must hold, whatever the model says."""

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.formats.table import FORMATS
from app.reply_schemas import TranslateReply
from app.settings import Settings
from tests.app.answers import check_matrix, check_translation, source_gaps, target_gaps

pytestmark = pytest.mark.anyio

TEXT = "The cat sleeps.  It dreams of 3.50 € — «fish»!\n\nDon't wake it 😀, please."


async def translate(client, text, **fields):
    response = await client.post("/v1/translate", json={"text": text, **fields})
    assert response.status_code == 200, response.text
    TranslateReply.model_validate_json(response.content)
    return response.json()


async def translate_one(client, text, **fields):
    [translation] = (await translate(client, text, **fields))["translations"]
    return translation


@pytest.mark.parametrize("level", ["word", "piece"])
async def test_spans_slice_their_texts_and_rows_with_eos_sum_to_one(client, level):
    translation = await translate_one(client, TEXT, alignment={"level": level})
    assert translation["alignment"]["kind"] == "attention"
    matrices = translation["alignment"]["segments"]
    assert [matrix["segment"] for matrix in matrices] == [0, 1, 2]
    for matrix in matrices:
        assert matrix["level"] == level
        check_matrix(matrix, TEXT, translation["text"])


async def test_what_stands_between_sentences_comes_back_exactly(client):
    text = "\t One.  Two.\r\n\r\n  Three.\u00a0\n"
    translation = await translate_one(client, text)
    assert len(translation["segments"]) == 3
    assert target_gaps(translation) == source_gaps(text, translation)
    assert source_gaps(text, translation) == ["\t ", "  ", "\r\n\r\n  ", "\u00a0\n"]


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(), max_size=60))
async def test_any_text_is_translated_or_refused_and_keeps_its_gaps(client, text):
    response = await client.post(
        "/v1/translate",
        content=json.dumps({"text": text, "decoding": {"beam_size": 1}}).encode(),
        headers={"Content-Type": "application/json"},
    )
    if response.status_code == 422:
        codes = {"empty_text", "control_character", "invalid_unicode"}
        assert response.json()["code"] in codes
        return
    assert response.status_code == 200
    [translation] = response.json()["translations"]
    check_translation(text, translation)


async def test_a_text_without_a_word_comes_back_as_it_is(client):
    body = {"text": ["😀 ?!", "* * *\n\nYes.\n* * *"], "alignment": {"level": ["word", "piece"]}}
    answer = (await client.post("/v1/translate", json=body)).json()
    emoji, ruled = answer["translations"]
    assert emoji["text"] == "😀 ?!"
    assert emoji["segments"] == emoji["alignment"]["segments"] == []
    assert (emoji["finish_reason"], emoji["log_prob"]) == ("stop", 0.0)
    assert [one["source"] for one in ruled["segments"]] == [{"start": 7, "end": 11}]
    assert ruled["text"].startswith("* * *\n\n")
    assert ruled["text"].endswith("\n* * *")
    for form in FORMATS:
        address = f"/v1/translations/{answer['id']}/alignment?text=0&format={form.name}"
        assert (await client.get(address)).status_code == (422 if form.name == "npy" else 200)
    alone = {"text": "😀", "store": False}
    streamed = await client.post(
        "/v1/translate", json=alone, headers={"Accept": "text/event-stream"}
    )
    assert streamed.text.startswith("event: done\n")


async def test_a_text_alone_and_in_a_list_has_the_same_translation(client):
    texts = ["The cat sleeps.", "Where is the station? I am late.", "Yes."]
    together = (await translate(client, texts))["translations"]
    alone = [await translate_one(client, text) for text in texts]
    assert [one["text"] for one in together] == [one["text"] for one in alone]
    for first, second in zip(together, alone, strict=True):
        pairs = zip(first["alignment"]["segments"], second["alignment"]["segments"], strict=True)
        for left, right in pairs:
            for row, other in zip(left["weights"], right["weights"], strict=True):
                assert row == pytest.approx(other, abs=1e-5)


async def test_alternatives_are_ranked_and_have_their_own_alignment(client):
    decoding = {"beam_size": 4, "n_best": 4}
    best = await translate_one(client, "The cat sleeps. It is late.", decoding=decoding)
    ranked = [best, *best["alternatives"]]
    assert len(ranked) == 4
    assert len({(one["text"], one["score"]) for one in ranked}) == 4
    order = [(one["finish_reason"] == "length", -one["score"]) for one in ranked]
    assert order == sorted(order)
    for one in ranked:
        for matrix in one["alignment"]["segments"]:
            check_matrix(matrix, "The cat sleeps. It is late.", one["text"])


async def test_scores_of_segments_add_up_to_that_of_the_text(client):
    translation = await translate_one(client, TEXT)
    for field in ("score", "log_prob"):
        parts = [segment[field] for segment in translation["segments"]]
        assert translation[field] == pytest.approx(sum(parts), abs=1e-4)


async def test_log_probs_of_tokens_and_of_the_end_make_up_the_log_prob(client):
    translation = await translate_one(
        client, "The cat sleeps.", include=["segments", "tokens"], decoding={"max_length": 3}
    )
    [segment] = translation["segments"]
    assert segment["finish_reason"] == "length"
    pieces = sum(piece["log_prob"] for piece in segment["target_pieces"])
    assert segment["log_prob"] == pytest.approx(pieces, abs=1e-4)


async def test_pieces_are_those_of_the_vocabulary_with_their_places(client, joint_tokenizer):
    text = " The cat sleeps."
    translation = await translate_one(client, text, include=["tokens"])
    [segment] = translation["segments"]
    encoded = joint_tokenizer.encode_with_spans(text.strip())
    assert [piece["piece"] for piece in segment["source_pieces"]] == list(encoded.pieces)
    assert [piece["id"] for piece in segment["source_pieces"]] == list(encoded.ids)
    assert [piece["start"] - 1 for piece in segment["source_pieces"]] == [
        start for start, _ in encoded.spans
    ]
    ids = [piece["id"] for piece in segment["target_pieces"]]
    assert [piece["piece"] for piece in segment["target_pieces"]] == list(
        joint_tokenizer.pieces(ids)
    )
    assert translation["text"] == " " + joint_tokenizer.decode(ids)


async def test_a_translation_cut_at_its_limit_says_so(client):
    translation = await translate_one(client, "The cat sleeps.", decoding={"max_length": 1})
    assert translation["finish_reason"] == "length"
    [matrix] = translation["alignment"]["segments"]
    assert matrix["eos"]["target_row"] is None


async def test_links_are_the_argmax_and_what_is_above_the_threshold(client):
    dense = await translate_one(client, "The cat sleeps.")
    linked = await translate_one(
        client, "The cat sleeps.", alignment={"form": "links", "threshold": 0.2}
    )
    [matrix], [links] = dense["alignment"]["segments"], linked["alignment"]["segments"]
    expected = []
    for target, row in enumerate(matrix["weights"]):
        best = row.index(max(row))
        expected += [
            [source, target] for source, weight in enumerate(row) if source == best or weight >= 0.2
        ]
    assert [link[:2] for link in links["links"]] == expected
    for source, target, weight in links["links"]:
        assert weight == pytest.approx(matrix["weights"][target][source], abs=1e-6)


async def test_the_sparse_form_and_what_it_drops_are_the_dense_one(client):
    dense = await translate_one(client, TEXT, alignment={"level": "piece"})
    sparse = await translate_one(
        client, TEXT, alignment={"level": "piece", "form": "sparse", "threshold": 0.1}
    )
    pairs = zip(dense["alignment"]["segments"], sparse["alignment"]["segments"], strict=True)
    for full, few in pairs:
        rows, columns = few["shape"]
        assert (rows, columns) == (len(full["weights"]), len(full["source_tokens"]))
        kept = dict(zip(zip(few["rows"], few["cols"], strict=True), few["values"], strict=True))
        for target, row in enumerate(full["weights"]):
            here = sum(value for (at, _), value in kept.items() if at == target)
            assert here + few["dropped_mass"][target] == pytest.approx(sum(row), abs=1e-5)
        assert all(value >= 0.1 for value in kept.values())


@pytest.mark.parametrize(
    ("encoding", "codec", "unit"), [("utf-16", "utf-16-le", 2), ("utf-8", "utf-8", 1)]
)
async def test_offsets_slice_in_the_asked_encoding(client, encoding, codec, unit):
    translation = await translate_one(client, TEXT, alignment={"offset_encoding": encoding})
    raw = TEXT.encode(codec)
    for matrix in translation["alignment"]["segments"]:
        for token in matrix["source_tokens"]:
            part = raw[token["start"] * unit : token["end"] * unit]
            assert part.decode(codec) == token["text"]
    out = translation["text"].encode(codec)
    for segment in translation["segments"]:
        span = segment["target"]
        out[span["start"] * unit : span["end"] * unit].decode(codec)


@pytest.mark.parametrize("settings", [Settings(max_sentence_tokens=8)])
async def test_a_long_sentence_is_translated_in_parts_that_are_reported(client):
    text = "The cat sleeps on the sofa and the dog on the floor of the kitchen."
    translation = await translate_one(client, text)
    assert len(translation["segments"]) > 1
    assert all(segment["split"] for segment in translation["segments"])
    check_translation(text, translation)


async def test_two_levels_come_side_by_side(client):
    translation = await translate_one(
        client, "The cat sleeps.", alignment={"level": ["piece", "word"]}
    )
    assert [one["level"] for one in translation["alignment"]["segments"]] == ["piece", "word"]


async def test_what_is_left_out_is_null(client):
    translation = await translate_one(client, "Hello.", alignment=None, include=[])
    assert translation["alignment"] is None
    assert translation["segments"] is None


async def test_the_answer_names_its_model_and_counts(client):
    response = await client.post("/v1/translate", json={"text": "Hello."})
    body = response.json()
    assert body["model"]["name"] == "tiny"
    assert response.headers["x-model"] == f"tiny@{body['model']['digest']}"
    assert body["usage"]["characters"] == 6
    assert body["usage"]["source_tokens"] > 1
    timings = response.headers["server-timing"]
    assert all(stage in timings for stage in ("read", "decode", "render", "total"))


async def test_white_space_and_precision_do_not_change_the_translation(client):
    assert (await translate_one(client, "Hello."))["text"] == (
        await translate_one(client, " Hello.\n")
    )["text"].strip()
    translation = await translate_one(client, "Hello.", alignment={"precision": 2})
    [matrix] = translation["alignment"]["segments"]
    assert all(round(w, 2) == w for row in matrix["weights"] for w in row)
