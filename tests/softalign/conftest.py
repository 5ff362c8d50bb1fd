"""A service of a tiny untrained model with an alignment head, and clients of it."""

from pathlib import Path

import httpx
import pytest

from app.main import create_app
from app.models import LoadedModels, load_models
from app.settings import Settings
from softalign import AsyncClient, Client, Retries
from tests.app.conftest import write_checkpoint
from tests.running_app import running


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory, joint_tokenizer) -> LoadedModels:
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoint(folder / "tiny", joint_tokenizer)
    return load_models(folder)


@pytest.fixture(scope="session")
def address(tiny_models, tmp_path_factory) -> str:
    settings = Settings(data=tmp_path_factory.mktemp("data"))
    with running(create_app(settings, tiny_models)) as address:
        yield address


@pytest.fixture
def client(address):
    with Client(address) as client:
        client.delete_all()
        yield client


@pytest.fixture
async def async_client(tiny_models, tmp_path: Path):
    """In this process, without any socket."""
    app = create_app(Settings(data=tmp_path / "data"), tiny_models)
    async with (
        app.router.lifespan_context(app),
        AsyncClient("http://softalign.test", transport=httpx.ASGITransport(app=app)) as client,
    ):
        yield client


NEVER_WAITS = Retries(attempts=3, first_wait=0.0)


class Flaky(httpx.BaseTransport):
    """A network on which the first requests meet with accidents, one each.

    An accident is an answer, or an error; `lost` sends the request and loses its answer.
    """

    def __init__(self, *accidents: httpx.Response | Exception | str) -> None:
        self.accidents = list(accidents)
        self.requests: list[httpx.Request] = []
        self._network = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        accident = self.accidents.pop(0) if self.accidents else None
        if accident == "lost":
            self._network.handle_request(request).read()
            raise httpx.ReadError("the connection broke")
        if isinstance(accident, Exception):
            raise accident
        return accident or self._network.handle_request(request)

    def close(self) -> None:
        self._network.close()


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """An answer of the service that says no."""
    document = {"status": status, "code": code, "detail": "No.", "errors": [], "request_id": "r1"}
    return httpx.Response(status, json=document, headers=headers)
