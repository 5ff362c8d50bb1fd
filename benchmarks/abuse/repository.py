"""L: what holds of the page, the code and the dependencies, whoever calls."""

import asyncio
import shutil
import sys

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import ROOT
from benchmarks.abuse.tested import proved_by

LOCK = "deploy/requirements.lock"
RULES = "tests/test_repository.py"
INSTALL = ("pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps",
           "--only-binary", ":all:", "--require-hashes", "-r", LOCK)  # fmt: skip


@case(
    "L13",
    "the page, its use, hostile texts and /docs in Chromium, under their content policies",
    "0 violations, no inline script or style on the page; a page that has them is noticed",
)
async def content_policy(bench: Bench) -> str:  # noqa: ARG001
    files = ("delivery", "hostile_text", "content_policy")
    return await proved_by(*(f"tests/app/page/test_{name}.py" for name in files))


@case("L15", "calls that run code from files, build markup, trust any server", "0 in the packages")
async def unsafe_calls(bench: Bench) -> str:  # noqa: ARG001
    return await proved_by(
        f"{RULES}::test_no_package_uses_an_unsafe_call",
        f"{RULES}::test_unsafe_calls_are_recognised",
    )


@case(
    "L16",
    "the lock file: an installation by hashes alone, licences, known faults",
    "all pinned with SHA-256, installable, 0 copyleft; 0 known faults where pip-audit can ask",
)
async def locked_dependencies(bench: Bench) -> str:  # noqa: ARG001
    tests = await proved_by(
        f"{RULES}::test_lock_file_pins_every_dependency_of_the_service",
        f"{RULES}::test_lock_file_has_nothing_without_a_digest",
        f"{RULES}::test_every_dependency_of_the_image_has_a_licence_that_may_be_shipped",
    )
    code, said = await _run(sys.executable, "-m", *INSTALL)
    require(code == 0, f"pip: {said[-200:]}")
    return f"{tests}; pip takes {LOCK} with --require-hashes; {await _known_faults()}"


async def _known_faults() -> str:
    """What pip-audit knows of the versions in the lock file; it needs a database in reach."""
    if shutil.which("pip-audit") is None:
        return "known faults not asked for: pip-audit is not installed"
    code, said = await _run(
        "pip-audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "-r", LOCK
    )
    if "could not be audited" in said or "ConnectionError" in said:
        return "known faults not asked for: pip-audit reaches no database here"
    require(code == 0, f"pip-audit: {said[-300:]}")
    return "0 known faults (pip-audit)"


async def _run(*command: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode(errors="replace").strip()
