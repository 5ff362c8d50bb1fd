"""Any string that is sent as a text is translated or refused, halves of surrogate pairs too."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.main import create_app
from app.settings import Settings

OPTIONS = {"store": False, "decoding": {"beam_size": 1, "max_length": 4}}
SURROGATES = st.characters(categories=["Cs"])
# `text()` leaves surrogates out unless it is told otherwise.
TEXTS = st.text(st.characters(exclude_categories=[]) | SURROGATES, max_size=12)


@asynccontextmanager
async def running(models, folder):
    app = create_app(Settings(data=folder, max_rows=8), models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        yield client


@pytest.fixture(scope="module")
def translate(tiny_models, tmp_path_factory):
    """Send a text, escaped as JSON allows it, and give the answer."""
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(
            running(tiny_models, tmp_path_factory.mktemp("any-text"))
        ) as client,
    ):

        async def post(text):
            body = json.dumps({"text": text, **OPTIONS})
            headers = {"Content-Type": "application/json"}
            return await client.post("/v1/translate", content=body, headers=headers)

        yield lambda text: portal.call(post, text)


def is_half_of_a_pair(text):
    # Two halves that follow each other are one character once they are read.
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return "\ufffd" in joined and "\ufffd" not in text


@given(TEXTS)
@example("a\ud800b")
@example("\udc00\ud800")
@example("\ud83d\ude00")
@settings(max_examples=200)
def test_a_string_is_translated_or_refused(translate, text):
    response = translate(text)
    if is_half_of_a_pair(text):
        assert (response.status_code, response.json()["code"]) == (422, "invalid_unicode")
    elif response.status_code == 200:
        [translation] = response.json()["translations"]
        for segment in translation["segments"]:
            assert 0 <= segment["source"]["start"] < segment["source"]["end"] <= len(text)
    else:
        assert response.status_code == 422
        assert {error["pointer"] for error in response.json()["errors"]} == {"/text"}
