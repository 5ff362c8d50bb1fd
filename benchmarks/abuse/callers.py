"""Callers with keys of a running service."""

import asyncio
import os
import sys

from benchmarks.abuse.service import ROOT, Service


async def make_key(service: Service, owner: str, *options: str) -> str:
    """A new key, made as an operator makes it."""
    code, said = await keys_command(service, "create", "--owner", owner, *options)
    assert code == 0, said
    return next(word for word in said.split() if word.startswith("atk_"))


async def keys_command(service: Service, *arguments: str) -> tuple[int, str]:
    """`python -m app keys`; gives the exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "keys", *arguments,
        cwd=ROOT,
        env={**os.environ, "SOFTALIGN_DATA": str(service.data)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def bearer(key: str) -> tuple[bytes, bytes]:
    """The header field of a key."""
    return b"Authorization", f"Bearer {key}".encode()
