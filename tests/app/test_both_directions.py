"""Pairs aligned by the heads of both directions: their agreement, what it takes, what it costs."""

from dataclasses import replace

import httpx
import pytest
import torch

from app.main import create_app
from app.models import LoadedModel, LoadedModels, load_models
from app.settings import Settings
from model.alignment import agreement
from model.alignment_head import AlignmentHead
from model.checkpoint import add_alignment_head, load_checkpoint
from tests.app.conftest import write_checkpoint
from tests.app.test_errors_over_http import check_problem
from tests.conftest import train

pytestmark = pytest.mark.anyio

ASKED = {
    "both_directions": True,
    "alignment": {"kind": "head", "form": "links", "precision": 9},
}
PAIRS = [
    ("The cat sleeps. It rains.", "Le chat dort. Il pleut."),
    ("We  stay 😀 here", " Nous restons là 😀 ."),
]


def headed(folder, tokenizer, seed, threshold):
    write_checkpoint(folder, tokenizer)
    torch.manual_seed(seed)
    head = AlignmentHead(load_checkpoint(folder).manifest.config, 12, refinement_channels=4)
    torch.nn.init.normal_(head.refinement.outer.weight)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(3.0)
    add_alignment_head(folder, head, threshold=threshold, metrics={})
    [model] = load_models(folder)
    return model


def turned(model: LoadedModel, name: str) -> LoadedModel:
    """The same network under another name, said to translate the other way."""
    manifest = replace(
        model.checkpoint.manifest,
        source_language=model.target_language,
        target_language=model.source_language,
    )
    return LoadedModel(name, replace(model.checkpoint, manifest=manifest))


@pytest.fixture(scope="session")
def two_models(tmp_path_factory, pairs, joint_tokenizer):
    """With vocabularies of their own; pieces of the second cross the spaces between words."""
    folder = tmp_path_factory.mktemp("directions")
    ahead = headed(folder / "ahead", joint_tokenizer, 8, 0.2)
    other = train(pairs, size=400, split_by_whitespace=False)
    back = turned(headed(folder / "back", other, 9, 0.3), "back")
    return LoadedModels([ahead, back])


@pytest.fixture
async def client(tmp_path, two_models):
    app = create_app(Settings(data=tmp_path), two_models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        yield client


async def align(client, source, target, **fields):
    body = {"source": source, "target": target, "source_lang": "en", "target_lang": "fr", **fields}
    response = await client.post("/v1/align", json=body)
    assert response.status_code == 200, response.text
    return response.json()


async def dense(client, source, target, **fields):
    """The words and weights of each sentence by one model alone."""
    asked = {"kind": "head", "form": "dense", "precision": 9}
    reply = await align(client, source, target, alignment=asked, **fields)
    return reply["pairs"][0]["alignment"]["segments"]


def opposite_weights(one, other):
    """The weights of `other` between the words of `one`, found letter by letter."""
    letters = {}
    for i, row in enumerate(other["target_tokens"]):
        for j, column in enumerate(other["source_tokens"]):
            for place in range(row["start"], row["end"]):
                for letter in range(column["start"], column["end"]):
                    letters[place, letter] = other["weights"][i][j]
    return torch.tensor(
        [
            [
                max(
                    letters.get((place, letter), 0.0)
                    for place in range(source["start"], source["end"])
                    for letter in range(target["start"], target["end"])
                )
                for target in one["target_tokens"]
            ]
            for source in one["source_tokens"]
        ]
    )


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_links_are_the_pairs_on_which_both_models_agree(client, source, target):
    reply = await align(client, source, target, **ASKED)
    found = reply["pairs"][0]["alignment"]
    assert (found["link_rule"], found["link_threshold"]) == ("both_directions", 0.25)
    ahead = await dense(client, source, target)
    back = await dense(client, target, source, source_lang="fr", target_lang="en")
    for segment, one, other in zip(found["segments"], ahead, back, strict=True):
        assert segment["source_tokens"] == one["source_tokens"]
        weights, opposite = torch.tensor(one["weights"]), opposite_weights(one, other)
        both = (agreement(weights) + agreement(opposite).T) / 2
        assert not ((both - 0.25).abs() < 1e-5).any()
        expected = [
            [j, i, pytest.approx(float(weights[i, j]), abs=1e-6)]
            for i, j in (both >= 0.25).nonzero().tolist()
        ]
        assert segment["links"] == expected != []


async def test_the_models_are_named_and_the_work_of_both_is_counted(client, two_models):
    source, target = PAIRS[0]
    alone = await align(client, source, target, alignment={"kind": "head", "form": "links"})
    both = await align(client, source, target, **ASKED)
    back = two_models.get("back")
    assert alone["opposite_model"] is None
    assert both["model"] == alone["model"]
    assert both["opposite_model"] == {"name": "back", "digest": back.digest}
    assert both["pairs"][0]["log_prob"] == alone["pairs"][0]["log_prob"]
    read = len(back.checkpoint.source_tokenizer.encode("Le chat dort.")) + len(
        back.checkpoint.source_tokenizer.encode("Il pleut.")
    )
    more = both["usage"]["source_tokens"] - alone["usage"]["source_tokens"]
    assert more == read + 2


async def test_lists_and_other_forms_have_the_same_links(client):
    sources, targets = map(list, zip(*PAIRS, strict=True))
    many = await align(client, sources, targets, **ASKED)
    for (source, target), pair in zip(PAIRS, many["pairs"], strict=True):
        alone = await align(client, source, target, **ASKED)
        assert alone["pairs"] == [pair]
    source, target = PAIRS[0]
    body = {"source": source, "target": target, "source_lang": "en", "target_lang": "fr", **ASKED}
    response = await client.post("/v1/align", json=body, params={"format": "pharaoh"})
    lines = [set(line.split()) for line in response.text.splitlines()]
    segments = many["pairs"][0]["alignment"]["segments"]
    assert lines == [{f"{j}-{i}" for j, i, _ in segment["links"]} for segment in segments]


@pytest.mark.parametrize(
    "alignment",
    [
        {"kind": "attention", "form": "links"},
        {"kind": "head", "form": "dense"},
        {"kind": "head", "form": "links", "level": "piece"},
        {"kind": "head", "form": "links", "threshold": 0.5},
        None,
    ],
)
async def test_what_has_no_links_by_both_is_refused_with_what_to_ask(client, alignment):
    body = {"source": "Yes.", "target": "Oui.", **ASKED, "alignment": alignment}
    problem = check_problem(await client.post("/v1/align", json=body))
    assert problem["status"] == 422
    assert "`kind` `head`, `form` `links`" in problem["errors"][0]["message"]


async def test_without_a_model_of_the_opposite_direction_it_is_refused(tmp_path, two_models):
    app = create_app(Settings(data=tmp_path), LoadedModels([two_models.get("ahead")]))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        body = {"source": "Yes.", "target": "Oui.", **ASKED}
        problem = check_problem(await client.post("/v1/align", json=body))
    assert problem["status"] == 422
    [error] = problem["errors"]
    assert (error["pointer"], error["code"]) == ("/both_directions", "alignment_unavailable")
    assert "from fr to en" in error["message"]


async def test_a_side_that_is_too_long_for_the_opposite_model_is_refused_at_its_place(
    tmp_path, two_models
):
    settings = Settings(data=tmp_path, max_sentence_tokens=40, max_output_tokens=12)
    app = create_app(settings, two_models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        body = {"source": "cat " * 15, "target": "Oui.", **ASKED}
        body |= {"source_lang": "en", "target_lang": "fr"}
        problem = check_problem(await client.post("/v1/align", json=body))
    assert problem["errors"][0]["pointer"] == "/source"
