"""`python -m app keys` and what `python -m app serve` says about who may use it."""

import asyncio
import re

import pytest
from typer.testing import CliRunner

from app.commands import commands
from app.exposure import ExposureError, check_exposure, is_loopback
from app.keys import KEY
from app.settings import Settings, load_settings


def run(*arguments):
    return CliRunner().invoke(commands, ["keys", *arguments])


def test_a_key_is_made_listed_and_revoked(data_folder):
    made = run(
        "create", "--owner", "acme", "--scopes", "translate,records:read", "--note", "the CMS"
    )
    assert made.exit_code == 0
    text = made.stdout.strip()
    found = KEY.fullmatch(text)
    listed = run("list").stdout
    assert re.search(
        rf"{found['kid']} +acme +translate records:read +good .* never +the CMS", listed
    )
    assert found["secret"] not in listed
    assert found["secret"].encode() not in (data_folder / "softalign.db").read_bytes()
    assert run("revoke", found["kid"]).exit_code == 0
    assert re.search(rf"{found['kid']} .* revoked ", run("list").stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--owner", "acme", "--scopes", "translat"], "there is no scope 'translat'"),
        (["create", "--owner", "two words"], "an owner has 1 to 64 of"),
        (["create", "--owner", "local"], "is not `local`"),
        (["create", "--owner", "acme", "--note", "a\nb"], "printable"),
        (["revoke", "aaaaaaaa"], "there is no key 'aaaaaaaa'"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_database_that_cannot_be_used_is_told(data_folder):
    data_folder.mkdir()
    (data_folder / "softalign.db").write_bytes(b"garbage")
    result = run("list")
    assert result.exit_code == 1
    assert "is not a SQLite database" in result.stderr


@pytest.mark.anyio
async def test_without_keys_it_listens_on_this_machine_only():
    settings = load_settings()
    assert "open to this machine only" in await check_exposure(settings, "127.0.0.1")
    with pytest.raises(ExposureError, match="SOFTALIGN_ALLOW_ANONYMOUS=true"):
        await check_exposure(settings, "0.0.0.0")
    allowed = Settings(allow_anonymous=True)
    assert "open to everybody" in await check_exposure(allowed, "0.0.0.0")


@pytest.mark.anyio
async def test_with_a_key_it_listens_anywhere(data_folder):
    result = await asyncio.to_thread(run, "create", "--owner", "acme")
    assert result.exit_code == 0
    assert "need a key" in await check_exposure(Settings(data=data_folder), "0.0.0.0")


@pytest.mark.parametrize(
    ("host", "is_one"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.7", False),
        ("localhost.example.org", False),
    ],
)
def test_which_addresses_only_this_machine_reaches(host, is_one):
    assert is_loopback(host) is is_one
