"""`POST /v1/align`: pairs that are there already."""

import asyncio
import math

import pytest
import torch

from app.align_schemas import AlignReply
from app.catalog import fast_network
from app.settings import Settings
from model.batch import pad_sentences
from model.forced import forced
from tests.app.answers import check_matrix
from tests.app.test_errors_over_http import CANARY, check_problem
from tests.app.test_gate import bearer, make_key

pytestmark = pytest.mark.anyio

PAIRS = [
    ("The cat sleeps.", "Le chat dort."),
    (" It rains.  We stay 😀.\n", "Il pleut ;\tnous restons 😀. Oui.  "),
    ("One. Two.", "Un.\n\nDeux."),
    ("Yes!", "Zßxq — ﬁn…"),
]


async def align(client, source, target, **fields):
    body = {"source": source, "target": target, **fields}
    response = await client.post("/v1/align", json=body)
    assert response.status_code == 200, response.text
    AlignReply.model_validate_json(response.content)
    return response.json()


async def align_all(client, pairs, **fields):
    sources, targets = map(list, zip(*pairs, strict=True))
    return (await align(client, sources, targets, **fields))["pairs"]


async def refused(client, body, params=None):
    return check_problem(await client.post("/v1/align", json=body, params=params))


@pytest.mark.parametrize("level", ["word", "piece"])
async def test_spans_slice_both_texts_and_rows_with_eos_sum_to_one(client, level):
    replies = await align_all(client, PAIRS, alignment={"level": level})
    for (source, target), reply in zip(PAIRS, replies, strict=True):
        for matrix in reply["alignment"]["segments"]:
            check_matrix(matrix, source, target)


async def test_a_pair_is_split_only_where_both_sides_have_equally_many_sentences(client):
    replies = await align_all(client, PAIRS)
    assert [len(reply["segments"]) for reply in replies] == [1, 2, 2, 1]
    two, different = PAIRS[2], (PAIRS[2][0], "Un et deux.")
    [whole] = await align_all(client, [two], split=False)
    [unequal] = await align_all(client, [different])
    assert len(whole["segments"]) == len(unequal["segments"]) == 1
    assert unequal["segments"][0]["source"] == {"start": 0, "end": len(two[0])}


async def test_what_comes_back_is_what_teacher_forcing_gives(client, tiny_models):
    [model] = tiny_models
    checkpoint = model.checkpoint
    network = fast_network(model)
    source, target = PAIRS[3]
    reply = (await align(client, source, target, alignment={"level": "piece", "precision": 9},
                         include=["segments", "tokens"]))["pairs"][0]  # fmt: skip
    source_ids = [*checkpoint.source_tokenizer.encode(source), checkpoint.source_tokenizer.eos_id]
    target_ids = [*checkpoint.target_tokenizer.encode(target), checkpoint.target_tokenizer.eos_id]
    [expected] = forced(network, pad_sentences([source_ids], network.config.pad_id), [target_ids])
    [segment], [matrix] = reply["segments"], reply["alignment"]["segments"]
    assert [piece["id"] for piece in segment["target_pieces"]] == target_ids[:-1]
    weights = torch.tensor(matrix["weights"])
    torch.testing.assert_close(weights, expected.weights[:-1, :-1], atol=1e-5, rtol=0)
    found = [token["log_prob"] for token in matrix["target_tokens"]]
    assert found == pytest.approx(expected.token_log_probs[:-1], abs=1e-5)
    assert reply["log_prob"] == pytest.approx(expected.log_prob, abs=1e-4)
    assert reply["score"] == pytest.approx(expected.score, abs=1e-4)
    assert reply["perplexity"] == pytest.approx(
        math.exp(-expected.log_prob / len(target_ids)), rel=1e-4
    )


async def test_a_pair_alone_equals_itself_in_a_batch_beside_translations(client):
    together, *_ = await asyncio.gather(
        align_all(client, PAIRS),
        *(client.post("/v1/translate", json={"text": source}) for source, _ in PAIRS),
    )
    for pair, reply in zip(PAIRS, together, strict=True):
        [alone] = await align_all(client, [pair])
        assert alone["log_prob"] == pytest.approx(reply["log_prob"], abs=1e-4)
        for one, other in zip(
            alone["alignment"]["segments"], reply["alignment"]["segments"], strict=True
        ):
            torch.testing.assert_close(
                torch.tensor(one["weights"]), torch.tensor(other["weights"]), atol=1.2e-5, rtol=0
            )


async def test_lists_of_one_and_single_strings_are_answered_alike(client):
    source, target = PAIRS[0]
    assert await align(client, source, target) == await align(client, [source], [target])


async def test_scores_alone_can_be_asked_for(client):
    [reply] = await align_all(client, PAIRS[:1], alignment=None, include=[])
    assert reply["alignment"] is reply["segments"] is None
    assert reply["perplexity"] >= 1.0


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"source": "a", "target": ["b"]}, "", "pairs_differ"),
        ({"source": ["a", "b"], "target": ["b"]}, "", "pairs_differ"),
        ({"source": CANARY}, "/target", "missing"),
        ({"source": [CANARY, "a"], "target": ["b", " "]}, "/target/1", "empty_text"),
        ({"source": "a", "target": "b" * 2_001}, "/target", "text_too_long"),
        ({"source": ["a"] * 33, "target": ["b"] * 33}, "/source", "too_many_texts"),
        ({"source": "a b " * 300, "target": "b"}, "/source", "text_too_long"),
        ({"source": "a", "target": "b", "text": "c"}, "/text", "extra_forbidden"),
        ({"source": "a", "target": "b", "target_lang": "xx"}, "/target_lang",
         "unknown_language_pair"),
    ],
)  # fmt: skip
async def test_what_cannot_be_aligned_is_refused_at_its_place(client, body, pointer, code):
    document = await refused(client, body)
    assert document["errors"][0]["pointer"] == pointer
    assert document["errors"][0]["code"] == code


async def test_a_pair_that_counts_as_one_long_sentence_is_told_what_to_do(client):
    document = await refused(client, {"source": "We sing. " * 60, "target": "Nous chantons."})
    assert document["code"] == "text_too_long"
    assert "pairs of their own" in document["detail"]


@pytest.mark.parametrize("settings", [Settings(max_output_tokens=8)], ids=["short"])
async def test_targets_have_a_limit_of_their_own(client):
    document = await refused(client, {"source": "Yes.", "target": "Un deux trois quatre cinq."})
    assert document["errors"][0]["pointer"] == "/target"


@pytest.mark.parametrize("settings", [Settings(max_request_tokens=10)], ids=["few"])
async def test_both_sides_count_for_the_pieces_of_a_request(client):
    document = await refused(client, {"source": PAIRS[0][0], "target": PAIRS[0][1]})
    assert document["code"] == "text_too_long"


async def test_a_deadline_holds(client):
    document = await refused(client, {"source": "a" * 100, "target": "b" * 500, "deadline_ms": 1})
    assert document["code"] == "deadline_exceeded"


async def test_tokens_of_both_sides_are_charged_to_the_key(client, monkeypatch):
    charged = []

    async def charge(_caller, tokens):
        charged.append(tokens)

    monkeypatch.setattr(client.app.state.gate, "charge", charge)
    usage = (await align(client, *PAIRS[0]))["usage"]
    assert charged == [usage["source_tokens"] + usage["target_tokens"]]


async def test_a_key_without_the_scope_translate_is_refused(client):
    key = bearer(await make_key(client.app, scopes=frozenset({"models:read"})))
    response = await client.post("/v1/align", json={"source": "a", "target": "b"}, headers=key)
    assert check_problem(response)["code"] == "forbidden"
