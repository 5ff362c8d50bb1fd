"""Cases that tests of the repository prove already: they are run, and told by their number."""

import asyncio
import os
import re
import sys
from collections.abc import Sequence

from benchmarks.abuse.cases import MissedError, UnableError
from benchmarks.abuse.service import ROOT


async def proved_by(*tests: str) -> str:
    """Run tests by file, or by `file::name`; gives how many passed."""
    code, said = await _pytest(tests)
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (passed|skipped)", said)}
    if code != 0:
        raise MissedError(f"tests fail: {said.splitlines()[-1] if said else code}")
    if counts.get("skipped"):
        reasons = re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", said, re.MULTILINE)
        raise UnableError(f"tests skip: {reasons[0] if reasons else 'no reason given'}")
    return f"{counts['passed']} tests pass"


async def _pytest(tests: Sequence[str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace").strip()
