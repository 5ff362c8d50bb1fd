"""A database that cannot be used is refused in one line, and left as it is."""

import asyncio
import hashlib
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from app.settings import Settings, SettingsError
from app.storage.address import database_address
from app.storage.database import Database
from app.storage.faults import StorageStartupError
from app.storage.migration import prepare_database
from app.storage.records import Records
from tests.app.storage.example_records import assert_same, make_record
from tests.servers import PASSWORD, free_port

pytestmark = pytest.mark.anyio

OPEN_IT = """
import asyncio, sys
from pydantic import SecretStr
from app.settings import Settings
from app.storage.database import Database

async def main():
    await (await Database.open(Settings(database_url=SecretStr(sys.argv[1])))).close()

print("ready", flush=True)
sys.stdin.readline()
asyncio.run(main())
"""


async def refusal(settings: Settings) -> str:
    with pytest.raises(StorageStartupError) as raised:
        await Database.open(settings)
    message = str(raised.value)
    assert "\n" not in message
    return message


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.suffix == ".db"
    }


async def used_database(folder: Path) -> Path:
    """A database with a few records, closed."""
    database = await Database.open(Settings(data=folder))
    records = await Records.open(database, 10**6)
    for _ in range(20):
        await records.add("ann", make_record(result="x" * 5_000))
    await database.close()
    return folder / "softalign.db"


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


async def test_a_new_database_is_made_with_its_folder(tmp_path):
    path = await used_database(tmp_path / "not" / "there? 100%20")
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(one.name for one in path.parent.iterdir()) == [path.name, path.name + ".lock"]


@pytest.mark.parametrize("content", [b"", b"garbage" * 999, b"SQLite format 3\0", b"\0" * 8192])
async def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path, content):
    path = tmp_path / "softalign.db"
    path.write_bytes(content)
    before = digests(tmp_path)
    message = await refusal(Settings(data=tmp_path))
    assert str(path) in message
    assert "restore a backup" in message
    assert digests(tmp_path) == before


@pytest.mark.parametrize("share", [0.0005, 0.3, 0.9, 0.999])
async def test_a_cut_off_database_is_refused_and_kept(tmp_path, share):
    path = await used_database(tmp_path)
    os.truncate(path, int(path.stat().st_size * share))
    before = digests(tmp_path)
    message = await refusal(Settings(data=tmp_path))
    assert str(path) in message
    assert "restore a backup" in message
    assert digests(tmp_path) == before


async def test_damaged_pages_are_refused_and_kept(tmp_path):
    path = await used_database(tmp_path)
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    path.write_bytes(content)
    before = digests(tmp_path)
    assert "restore a backup" in await refusal(Settings(data=tmp_path))
    assert digests(tmp_path) == before


async def test_a_read_only_database_is_refused(tmp_path):
    path = await used_database(tmp_path)
    path.chmod(0o444)
    before = digests(tmp_path)
    assert "read-only; make it writable" in await refusal(Settings(data=tmp_path))
    assert digests(tmp_path) == before


async def test_a_folder_or_a_dangling_link_in_the_place_of_the_file_is_refused(tmp_path):
    path = tmp_path / "softalign.db"
    path.mkdir()
    assert f"{path} is not a file" in await refusal(Settings(data=tmp_path))
    path.rmdir()
    path.symlink_to(tmp_path / "unmounted" / "softalign.db")
    assert f"{path} is not a file" in await refusal(Settings(data=tmp_path))
    assert path.is_symlink()


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert "SOFTALIGN_DATA" in await refusal(Settings(data=tmp_path / "file" / "data"))


async def test_a_newer_schema_is_refused_and_kept(tmp_path):
    path = await used_database(tmp_path)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    before = digests(tmp_path)
    message = await refusal(Settings(data=tmp_path))
    assert str(path) in message
    assert "schema 9999, made by a newer Softalign" in message
    assert digests(tmp_path) == before


async def test_the_database_of_another_program_is_refused_and_kept(tmp_path):
    path = tmp_path / "softalign.db"
    execute(path, "CREATE TABLE recipes (name TEXT)")
    before = digests(tmp_path)
    assert "belongs to another program" in await refusal(Settings(data=tmp_path))
    assert digests(tmp_path) == before


async def test_half_of_a_new_database_is_not_taken_for_one(tmp_path):
    (tmp_path / "softalign.db.new").write_bytes(b"SQLite format 3\0 and then the power failed")
    await used_database(tmp_path)


async def test_an_interrupted_upgrade_is_done_again(tmp_path, monkeypatch):
    execute(tmp_path / "softalign.db", "CREATE TABLE t (x)", "DROP TABLE t")

    def fail_after_the_tables(connection, _address):
        connection.exec_driver_sql("CREATE TABLE half (x)")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.storage.migration._migrate", fail_after_the_tables)
        with pytest.raises(KeyboardInterrupt):
            await prepare_database(database_address(Settings(data=tmp_path)))
    await used_database(tmp_path)
    with closing(sqlite3.connect(tmp_path / "softalign.db")) as connection:
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    assert "records" in names
    assert "half" not in names


@pytest.mark.parametrize(
    "url",
    [
        f"nonsense {PASSWORD}",
        f"mysql://ann:{PASSWORD}@localhost/softalign",
        "sqlite://",
        "sqlite:///:memory:",
    ],
)
async def test_an_address_that_cannot_be_used_is_refused_without_its_password(url):
    message = await refusal(Settings(database_url=SecretStr(url)))
    assert "SOFTALIGN_DATABASE_URL" in message
    assert PASSWORD not in message


async def test_a_server_that_is_away_is_named_without_the_password():
    port = free_port()
    url = f"postgresql://ann:{PASSWORD}@127.0.0.1:{port}/softalign"
    message = await refusal(Settings(database_url=SecretStr(url)))
    assert f"127.0.0.1:{port}/softalign" in message
    assert PASSWORD not in message


async def test_a_wrong_password_and_a_missing_database_are_told(postgres_url):
    for changes, reason in (({"password": "wrong-one"}, "password"), ({"database": "no"}, "exist")):
        url = make_url(postgres_url).set(**changes).render_as_string(hide_password=False)
        message = await refusal(Settings(database_url=SecretStr(url)))
        assert reason in message
        assert "wrong-one" not in message
        assert PASSWORD not in message


async def test_the_address_can_come_from_a_file(tmp_path, postgres_url):
    secret = tmp_path / "database-url"
    secret.write_text(postgres_url + "\n")
    database = await Database.open(Settings(database_url_file=secret))
    assert not database.is_sqlite
    await database.close()
    secret.unlink()
    with pytest.raises(SettingsError, match=re.escape(str(secret))):
        await Database.open(Settings(database_url_file=secret))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_three_replicas_can_start_at_once(kind, tmp_path, request):
    url = f"sqlite:///{tmp_path}/softalign.db"
    if kind == "postgres":
        url = request.getfixturevalue("postgres_url")
    command = [sys.executable, "-W", "error", "-c", OPEN_IT, url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    replicas = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for replica in replicas:
        assert replica.stdout.readline() == b"ready\n"
    for replica in replicas:
        replica.stdin.write(b"go\n")
        replica.stdin.flush()
    for replica in replicas:
        _, errors = await asyncio.to_thread(replica.communicate, timeout=60)
        assert replica.returncode == 0, errors.decode()
    database = await Database.open(Settings(database_url=SecretStr(url)))
    records = await Records.open(database, 10**6)
    record = make_record()
    await records.add("ann", record)
    assert_same(await records.get("ann", record.id), record)
    await database.close()
