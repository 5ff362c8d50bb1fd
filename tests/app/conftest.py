"""A service around a tiny untrained model: its answers are nonsense of the right shape."""

from pathlib import Path

import httpx
import pytest
import torch

from app.main import create_app
from app.models import LoadedModels, load_models
from app.settings import Settings
from model.checkpoint import save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


def write_checkpoint(folder: Path, tokenizer: Tokenizer, **choices) -> Path:
    """Write an untrained model; `choices` are fields of its configuration."""
    torch.manual_seed(7)
    config = ModelConfig(
        source_vocabulary_size=tokenizer.size,
        target_vocabulary_size=tokenizer.size,
        embedding_size=16,
        encoder_units=16,
        decoder_units=16,
        attention_units=16,
        **choices,
    )
    save_checkpoint(
        folder,
        model=Seq2Seq(config),
        source_tokenizer=tokenizer,
        target_tokenizer=tokenizer,
        source_language="en",
        target_language="fr",
        training={"data": "none"},
        metrics={"bleu": 0.0},
        card="An untrained model for tests.",
        dtype=torch.float32,
    )
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory, joint_tokenizer: Tokenizer) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny", joint_tokenizer)


@pytest.fixture(scope="session")
def tiny_models(tiny_checkpoint: Path) -> LoadedModels:
    return load_models(tiny_checkpoint.parent)


@pytest.fixture(scope="session")
def plain_models(
    tmp_path_factory: pytest.TempPathFactory, joint_tokenizer: Tokenizer
) -> LoadedModels:
    """A model without attention."""
    folder = tmp_path_factory.mktemp("plain") / "plain"
    return load_models(write_checkpoint(folder, joint_tokenizer, attention="none"))


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's services, also those in processes of their own, keep their database."""
    monkeypatch.setenv("SOFTALIGN_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def settings() -> Settings:
    """Settings of the client's service; a test overrides them with `parametrize`."""
    return Settings()


@pytest.fixture
async def client(settings: Settings, tiny_models: LoadedModels, data_folder: Path):
    # Settings of a `parametrize` were made before there was a folder.
    settings = settings.model_copy(update={"data": data_folder})
    app = create_app(settings, tiny_models)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as client,
    ):
        client.app = app
        yield client
