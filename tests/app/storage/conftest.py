"""Both back ends, each test on a database of its own."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from app.settings import Settings
from app.storage.database import Database
from app.storage.records import Records
from tests.servers import PostgresServer, find_program


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    url = os.environ.get("SOFTALIGN_TEST_POSTGRES_URL")
    if url is None and not (find_program("initdb") and find_program("postgres")):
        pytest.skip("no PostgreSQL: install it, or name one in SOFTALIGN_TEST_POSTGRES_URL")
    server = PostgresServer(url)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgres"])
def storage_settings(request: pytest.FixtureRequest, tmp_path) -> Settings:
    """Settings that name a new database of each kind."""
    if request.param == "sqlite":
        return Settings(data=tmp_path)
    return Settings(database_url=SecretStr(request.getfixturevalue("postgres_url")))


@pytest.fixture
async def database(storage_settings: Settings) -> AsyncIterator[Database]:
    database = await Database.open(storage_settings)
    yield database
    await database.close()


@pytest.fixture
async def records(database: Database, storage_settings: Settings) -> Records:
    return await Records.open(database, storage_settings.max_record_bytes)
