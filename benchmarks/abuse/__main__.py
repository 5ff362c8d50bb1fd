"""Abuse and faults, a line a case: `python -m benchmarks.abuse [--only A1,B4] [--json]`.

The real service runs as a process of its own, with a tiny untrained model made for the purpose or
with `--checkpoints FOLDER`. After every case it must be as it was: alive, nothing in progress, no
thread or file left, the known text translated the same, no text in the log. The bars on time hold
on a machine that does nothing else. Exit code: 0 if all passed, 1 if one failed.
"""

import argparse
import asyncio
import json
import resource
import tempfile
import time
from pathlib import Path

from app.collector import set_imports_aside
from benchmarks.abuse import (  # noqa: F401 - importing them adds their cases
    GROUPS,
    access,
    addresses,
    artefacts,
    crashes,
    hostile_files,
    http_messages,
    json_bodies,
    leaving,
    log_faults,
    migrating,
    overload,
    postgres_faults,
    process,
    purging,
    redis_faults,
    replaced_models,
    repository,
    servers,
    storage,
    texts,
)
from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import CASES, Case, MissedError, UnableError
from benchmarks.abuse.checkpoints import write_tiny_models

FILES = 65_536
"""File descriptors for the clients of this process."""


async def run(one: Case, bench: Bench) -> dict[str, object]:
    """One line of the report."""
    began = time.monotonic()
    try:
        figure, verdict = await one.run(bench), "pass"
        service = bench.shared_if_any
        complaints = await service.complaints() if service is not None else []
        if complaints:
            figure, verdict = f"{figure}; afterwards: {', '.join(complaints)}", "FAIL"
    except MissedError as missed:
        figure, verdict = str(missed), "FAIL"
    except UnableError as reason:
        figure, verdict = str(reason), "skip"
    except Exception as error:  # noqa: BLE001 - one broken case must not hide the others
        figure, verdict = f"{type(error).__name__}: {error}"[:200], "FAIL"
    seconds = round(time.monotonic() - began, 1)
    line = {"id": one.id, "what": one.what, "verdict": verdict, "figure": figure}
    print(f"{one.id:<4}{verdict:<5} {one.what}: {figure} [{one.bar}] {seconds:g} s", flush=True)
    return {**line, "bar": one.bar, "seconds": seconds}


async def run_all(options: argparse.Namespace) -> list[dict[str, object]]:
    """The whole report."""
    wanted = options.only.split(",") if options.only else list(CASES)
    unknown = [one for one in wanted if one not in CASES and one not in GROUPS]
    if unknown:
        raise SystemExit(f"there is no case {unknown[0]}; there are {', '.join(CASES)}")
    chosen = [one for one in CASES.values() if one.id in wanted or one.id[0] in wanted]
    chosen.sort(key=lambda one: (one.id[0], int(one.id[1:])))
    with tempfile.TemporaryDirectory(prefix="softalign-abuse-") as folder:
        checkpoints = options.checkpoints or write_tiny_models(Path(folder) / "checkpoints")
        bench = Bench(Path(folder), checkpoints.resolve(), options.port)
        try:
            return [await run(one, bench) for one in chosen]
        finally:
            await bench.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="cases, or letters of groups, divided by commas")
    parser.add_argument("--checkpoints", type=Path, help="instead of a tiny untrained model")
    parser.add_argument("--port", type=int, default=21_000, help="the first that may be used")
    parser.add_argument("--json", action="store_true", help="add one object on the last line")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    set_imports_aside()  # a collection in the clients would look like a pause of the service
    lines = asyncio.run(run_all(options))
    count = {
        name: sum(one["verdict"] == name for one in lines) for name in ("pass", "FAIL", "skip")
    }
    print(", ".join(f"{number} {name}" for name, number in count.items()))
    if options.json:
        print(json.dumps({"cases": lines, **count}))
    raise SystemExit(1 if count["FAIL"] else 0)


if __name__ == "__main__":
    main()
