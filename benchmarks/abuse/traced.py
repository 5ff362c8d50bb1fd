"""What system calls a service makes while something is done to it, as strace sees them."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import UnableError
from benchmarks.abuse.service import Service


class Trace:
    """The calls, once the tracing has ended."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def arguments(self, call: str) -> set[str]:
        """First string or address among the arguments of every such call."""
        text = self._file.read_text(errors="replace")
        found = re.findall(rf'\b{call}\([^"\n]*?"([^"]*)"', text)
        return set(found)


@asynccontextmanager
async def traced(bench: Bench, service: Service, *calls: str) -> AsyncIterator[Trace]:
    """Trace these calls of all threads of a service."""
    if shutil.which("strace") is None:
        raise UnableError("strace is not installed")
    file = bench.new_folder() / "trace"
    process = await asyncio.create_subprocess_exec(
        "strace", "-f", "-qq", "-s", "4096", "-e", f"trace={','.join(calls)}", "-o", str(file),
        "-p", str(service.pid),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        await asyncio.sleep(1)
        if process.returncode is not None:
            raise UnableError("this process may not trace others")
        yield Trace(file)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
