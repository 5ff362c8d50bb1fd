"""Requests that leave the source language out, where several are translated."""

import httpx
import pytest
import torch

from app import detection
from app.detection import detect
from app.main import create_app
from app.models import load_models
from app.settings import Settings
from model.checkpoint import save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq

LANGUAGES = ["de", "en", "fr"]


@pytest.fixture(scope="module")
def models(tmp_path_factory, joint_tokenizer):
    """Untrained models from German and from English into French, and from French into English."""
    folder = tmp_path_factory.mktemp("several")
    size = joint_tokenizer.size
    config = ModelConfig(
        source_vocabulary_size=size,
        target_vocabulary_size=size,
        embedding_size=8,
        encoder_units=8,
        decoder_units=8,
        attention_units=8,
    )
    for source, target in (("de", "fr"), ("en", "fr"), ("fr", "en")):
        torch.manual_seed(7)
        save_checkpoint(
            folder / f"{source}-{target}",
            model=Seq2Seq(config),
            source_tokenizer=joint_tokenizer,
            target_tokenizer=joint_tokenizer,
            source_language=source,
            target_language=target,
            training={},
            metrics={},
            card="An untrained model for tests.",
            dtype=torch.float32,
        )
    return load_models(folder)


@pytest.fixture
async def several(models, data_folder):
    app = create_app(Settings(data=data_folder), models)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://softalign.test"
        ) as client,
    ):
        yield client


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The cat sleeps.", "en"),
        ("Die Katze schläft.", "de"),
        ("Le chat dort.", "fr"),
        ("LE CHAT DORT SUR LE CANAPÉ.", "fr"),
        ("12345", None),
        ("😀", None),
    ],
)
def test_a_language_is_told_by_its_text_or_not_at_all(text, language):
    assert detect(text, LANGUAGES) == language


def test_a_regional_form_is_told_by_its_language():
    assert detect("O gato dorme no sofá.", ["en", "pt-BR"]) == "pt-BR"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "model"), [("The cat sleeps.", "en-fr"), ("Die Katze schläft.", "de-fr")]
)
async def test_the_language_decides_among_the_models(several, text, model):
    body = {"text": text, "target_lang": "fr", "decoding": {"beam_size": 1}}
    answer = (await several.post("/v1/translate", json=body)).json()
    assert answer["model"]["name"] == model
    [translation] = answer["translations"]
    assert (translation["source_lang"], translation["source_lang_detected"]) == (model[:2], True)
    stored = (await several.get(f"/v1/translations?source_lang={model[:2]}")).json()
    assert [one["id"] for one in stored["translations"]] == [answer["id"]]


@pytest.mark.anyio
async def test_a_language_that_is_given_is_never_questioned(several):
    body = {"text": "The cat sleeps.", "source_lang": "de", "decoding": {"beam_size": 1}}
    [translation] = (await several.post("/v1/translate", json=body)).json()["translations"]
    assert (translation["source_lang"], translation["source_lang_detected"]) == ("de", False)


@pytest.mark.anyio
async def test_where_one_model_fits_nothing_is_detected(several):
    body = {"text": "The cat sleeps.", "target_lang": "en", "decoding": {"beam_size": 1}}
    [translation] = (await several.post("/v1/translate", json=body)).json()["translations"]
    assert (translation["source_lang"], translation["source_lang_detected"]) == ("fr", False)


@pytest.mark.anyio
async def test_texts_of_which_one_is_unclear_follow_the_others(several):
    body = {"text": ["12", "Die Katze schläft."], "decoding": {"beam_size": 1}}
    answer = (await several.post("/v1/translate", json=body)).json()
    assert [one["source_lang"] for one in answer["translations"]] == ["de", "de"]


@pytest.mark.anyio
async def test_texts_in_several_languages_are_refused_by_name(several):
    body = {"text": ["The cat sleeps.", "12", "Die Katze schläft."], "target_lang": "fr"}
    response = await several.post("/v1/translate", json=body)
    assert response.status_code == 422
    assert [(one["pointer"], one["code"]) for one in response.json()["errors"]] == [
        ("/text/0", "unknown_language_pair"),
        ("/text/2", "unknown_language_pair"),
    ]
    assert "`de`" in response.json()["errors"][1]["message"]


@pytest.mark.anyio
async def test_a_text_that_tells_nothing_needs_a_name(several):
    problem = (await several.post("/v1/translate", json={"text": "12345"})).json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == (
        "unknown_language_pair",
        "/source_lang",
    )


@pytest.mark.anyio
async def test_pairs_are_aligned_by_the_language_of_their_source(several):
    body = {"source": "Die Katze schläft.", "target": "Le chat dort.", "target_lang": "fr"}
    answer = (await several.post("/v1/align", json=body)).json()
    assert answer["model"]["name"] == "de-fr"
    assert answer["pairs"][0]["source_lang_detected"] is True


@pytest.mark.anyio
async def test_without_a_detector_the_language_has_to_be_named(several, monkeypatch):
    monkeypatch.setattr(detection.importlib.util, "find_spec", lambda _: None)
    assert (await several.get("/v1/languages")).json()["detection"] is False
    problem = (await several.post("/v1/translate", json={"text": "The cat sleeps."})).json()
    assert problem["detail"].startswith("Several models fit.")


@pytest.mark.anyio
async def test_the_service_says_that_it_detects(several):
    assert (await several.get("/v1/languages")).json()["detection"] is True
