"""Alignments of the kind `head`: asked for, told apart, stored, and refused where there is none."""

import json

import httpx
import pytest
import torch

from app.main import create_app
from app.models import load_models
from app.settings import Settings
from model.alignment_head import AlignmentHead
from model.checkpoint import add_alignment_head, load_checkpoint
from tests.app.answers import check_matrix
from tests.app.conftest import write_checkpoint
from tests.app.test_errors_over_http import check_problem

pytestmark = pytest.mark.anyio

TEXT = "The cat sleeps. We stay 😀 here.\n"
THRESHOLD = 0.25
SCORES = {"attention": {"aer": 40.5}, "head": {"aer": 12.25}}


@pytest.fixture(scope="session")
def headed_models(tmp_path_factory, joint_tokenizer):
    folder = write_checkpoint(tmp_path_factory.mktemp("headed") / "headed", joint_tokenizer)
    torch.manual_seed(8)
    head = AlignmentHead(load_checkpoint(folder).manifest.config, 12, refinement_channels=4)
    torch.nn.init.normal_(head.refinement.outer.weight)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(3.0)
    add_alignment_head(folder, head, threshold=THRESHOLD, metrics={"alignment": SCORES})
    return load_models(folder)


@pytest.fixture
async def headed(tmp_path, headed_models):
    app = create_app(Settings(data=tmp_path), headed_models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        yield client


async def translated(client, text=TEXT, **alignment):
    body = {
        "text": text,
        "alignment": {"precision": 9, **alignment},
        "decoding": {"n_best": 2, "max_length": 12},
    }
    response = await client.post("/v1/translate", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def weights(reply):
    return [torch.tensor(segment["weights"]) for segment in reply["alignment"]["segments"]]


@pytest.mark.parametrize("level", ["word", "piece"])
async def test_rows_of_the_head_sum_to_one_and_tell_their_kind(headed, level):
    [reply] = (await translated(headed, kind="head", level=level))["translations"]
    for hypothesis in (reply, *reply["alternatives"]):
        assert hypothesis["alignment"]["kind"] == "head"
        for segment in hypothesis["alignment"]["segments"]:
            check_matrix(segment, TEXT, hypothesis["text"])


async def test_the_kind_changes_the_weights_and_nothing_else(headed):
    [attention] = (await translated(headed))["translations"]
    [head] = (await translated(headed, kind="head"))["translations"]
    assert attention["alignment"]["kind"] == "attention"
    assert (head["text"], head["log_prob"]) == (attention["text"], attention["log_prob"])
    assert any(
        not torch.allclose(one, other, atol=1e-3)
        for one, other in zip(weights(head), weights(attention), strict=True)
    )


async def test_company_changes_nothing(headed):
    [alone] = (await translated(headed, kind="head"))["translations"]
    texts = ["A much longer sentence stands beside it, with many words.", TEXT, "Yes."]
    [_, beside, _] = (await translated(headed, texts, kind="head"))["translations"]
    for one, other in zip(weights(alone), weights(beside), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


async def test_a_forced_pair_gets_the_weights_of_its_translation(headed):
    [found] = (await translated(headed, "The cat", kind="head", level="piece"))["translations"]
    body = {
        "source": "The cat",
        "target": found["text"],
        "alignment": {"kind": "head", "level": "piece", "precision": 9},
    }
    response = await headed.post("/v1/align", json=body)
    assert response.status_code == 200, response.text
    [pair] = response.json()["pairs"]
    assert pair["alignment"]["kind"] == "head"
    for segment in pair["alignment"]["segments"]:
        check_matrix(segment, "The cat", found["text"])


async def test_links_are_those_on_which_both_sides_agree(headed):
    found = await dense_and_linked(headed)
    for matrix, segment in zip(*found, strict=True):
        claimed = [sum(column) for column in zip(*matrix["weights"], strict=True)]
        expected = {
            (source, target)
            for target, row in enumerate(matrix["weights"])
            for source, weight in enumerate(row)
            if weight >= THRESHOLD * claimed[source] ** 0.5
        }
        assert {(source, target) for source, target, _ in segment["links"]} == expected != set()


async def test_links_go_by_weight_where_a_threshold_is_named(headed):
    for matrix, segment in zip(*await dense_and_linked(headed, threshold=0.2), strict=True):
        expected = set()
        for target, row in enumerate(matrix["weights"]):
            best = max(row)
            expected |= {(s, target) for s, weight in enumerate(row) if weight >= 0.2}
            if best >= matrix["eos"]["source_mass"][target]:
                expected.add((row.index(best), target))
        assert {(source, target) for source, target, _ in segment["links"]} == expected


async def dense_and_linked(headed, **options):
    """The segments of one text as matrices and as links, whose rule and threshold they tell."""
    rule, threshold = ("weight", 0.2) if options else ("agreement", THRESHOLD)
    found = []
    for form in ("dense", "links"):
        reply = await translated(headed, kind="head", form=form, **options)
        alignment = reply["translations"][0]["alignment"]
        assert (alignment["link_rule"], alignment["link_threshold"]) == (rule, threshold)
        found.append(alignment["segments"])
    return found


async def test_models_tell_their_kinds_with_error_and_threshold(headed, client):
    [model] = (await headed.get("/v1/models")).json()["models"]
    assert model["alignment_kinds"] == ["attention", "head"]
    assert model["alignments"] == [
        {"kind": "attention", "aer": 40.5, "threshold": None},
        {"kind": "head", "aer": 12.25, "threshold": THRESHOLD},
    ]
    [plain] = (await client.get("/v1/models")).json()["models"]
    assert plain["alignments"] == [{"kind": "attention", "aer": None, "threshold": None}]


@pytest.mark.parametrize(
    ("address", "texts"),
    [("/v1/translate", {"text": "Hi"}), ("/v1/align", {"source": "Hi", "target": "Salut"})],
)
async def test_a_model_without_head_names_what_it_has(client, address, texts):
    response = await client.post(address, json={**texts, "alignment": {"kind": "head"}})
    problem = check_problem(response)
    assert (problem["status"], problem["code"]) == (422, "alignment_unavailable")
    [error] = problem["errors"]
    assert error["pointer"] == "/alignment/kind"
    assert error["message"].endswith("it has `attention`.")


async def test_a_stored_translation_keeps_both_kinds(headed):
    answer = await translated(headed, kind="head", level="piece")
    address = f"/v1/translations/{answer['id']}/alignment"
    params = {"level": "piece", "precision": 9}
    stored = (await headed.get(address, params={**params, "kind": "head"})).json()
    assert stored["kind"] == "head"
    for segment, expected in zip(
        stored["segments"], weights(answer["translations"][0]), strict=True
    ):
        torch.testing.assert_close(torch.tensor(segment["weights"]), expected, atol=1e-3, rtol=0)
    attention = (await headed.get(address, params=params)).json()
    assert attention["kind"] == "attention"
    assert attention["segments"] != stored["segments"]
    one = (await headed.get(address, params={**params, "kind": "head", "hypothesis": 1})).json()
    assert one["kind"] == "head"


async def test_a_kind_that_was_not_stored_is_refused(headed):
    answer = await translated(headed)
    response = await headed.get(
        f"/v1/translations/{answer['id']}/alignment", params={"kind": "head"}
    )
    assert check_problem(response)["code"] == "alignment_unavailable"


async def test_a_stream_tells_the_final_rows_as_stable(headed):
    body = {
        "text": "The cat sleeps.",
        "alignment": {"kind": "head", "level": "piece", "precision": 9},
        "decoding": {"beam_size": 3, "max_length": 10},
        "store": False,
    }
    [whole] = (await headed.post("/v1/translate", json=body)).json()["translations"]
    accept = {"Accept": "text/event-stream"}
    answer = await headed.post("/v1/translate", json=body, headers=accept)
    frames = [frame.split("\n") for frame in answer.text.strip().split("\n\n")]
    tokens = {}
    for frame in frames:
        fields = dict(line.split(": ", 1) for line in frame if ": " in line)
        if fields.get("event") == "token":
            token = json.loads(fields["data"])
            assert not tokens.get(token["index"], {}).get("stable", False)
            tokens[token["index"]] = token
    [segment] = whole["alignment"]["segments"]
    for index, (row, eos) in enumerate(
        zip(segment["weights"], segment["eos"]["source_mass"], strict=True)
    ):
        assert tokens[index]["stable"]
        assert tokens[index]["weights"] == pytest.approx(row, abs=1e-6)
        assert tokens[index]["eos"] == pytest.approx(eos, abs=1e-6)
