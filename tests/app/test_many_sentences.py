"""Two hundred sentences through every model at hand: those that ship, and a tiny one."""

from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.models import MANIFEST, load_models
from app.settings import Settings
from tests.app.answers import check_translation

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SHIPPED = sorted(manifest.parent for manifest in ROOT.glob(f"checkpoints/*/{MANIFEST}"))
DECORATIONS = [
    "{}",
    "“{}”, she said.",
    "👩‍🚀 {} 🎉🎉",
    "{} See https://example.org/a?b=c&d=%20 (or mail x_y@example.org)!",
    "  {}\n\n\t— «{}»  ",
    "1) {} 2) {} 3) {}",
    "{} — and then, after a long while, when nobody was looking any more and the rain had "
    "stopped, the others, who had been waiting in the old station since noon, came back too.",
    "Cafe\u0301 nai\u0308ve ﬁne\u00a0: {} שלום 猫が好き。",
]


def sentences_of(pairs):
    return [
        DECORATIONS[i % len(DECORATIONS)].replace("{}", source)
        for i, (source, _) in enumerate(pairs[:200])
    ]


@pytest.fixture(params=["tiny", *(folder.name for folder in SHIPPED)])
def models(request, tiny_models):
    if request.param == "tiny":
        return tiny_models
    return load_models(ROOT / "checkpoints" / request.param)


async def test_spans_rows_and_gaps_hold_for_two_hundred_sentences(models, pairs):
    app = create_app(Settings(), models)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        sentences = sentences_of(pairs)
        for first in range(0, len(sentences), 20):
            texts = sentences[first : first + 20]
            body = {"text": texts, "decoding": {"beam_size": 2}, "alignment": {"level": "word"}}
            response = await client.post("/v1/translate", json=body)
            assert response.status_code == 200, response.text
            for text, translation in zip(texts, response.json()["translations"], strict=True):
                check_translation(text, translation)
