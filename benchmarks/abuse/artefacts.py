"""G: checkpoints and tokenizers that are broken, forged or swapped."""

import asyncio
import hashlib
import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import ROOT, Service
from benchmarks.abuse.tested import proved_by
from model.checkpoint import CheckpointError, load_checkpoint

FLIPS = 200
WEIGHTS = "model.safetensors"
GIB = 2**30
SLACK_MB = 8
"""What loading any checkpoint takes beside the file, mostly for imports."""
LIMITED_LOADING = f"""
import pathlib, re, resource, sys
from model.checkpoint import CheckpointError, load_checkpoint
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_DATA, ({2 * GIB}, {2 * GIB}))
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the highest so far is the present one
before = kilobytes("VmRSS")
try:
    load_checkpoint(pathlib.Path(sys.argv[1]))
except CheckpointError:
    print(kilobytes("VmHWM") - before)
    sys.exit(7)
"""


def complaint(folder: Path) -> str:
    """What loading says against a checkpoint; "" where it says nothing."""
    try:
        load_checkpoint(folder)
    except CheckpointError as error:
        return str(error)
    return ""


def broken_weights(data: bytes) -> dict[str, bytes]:
    """Ways to break a file of weights."""
    head = int.from_bytes(data[:8], "little")
    ways = {f"cut at {share}": data[: int(len(data) * share)] for share in (0, 0.07, 0.5, 0.999)}
    ways |= {
        "7 bytes": data[:7],
        "trailing": data + b"x",
        "head of 2^63": b"\xff" * 7 + b"\x7f" + data[8:],
    }
    header = json.loads(data[8 : 8 + head])
    first, second = [name for name in header if name != "__metadata__"][:2]
    for name, offsets in (("overlap", header[first]["data_offsets"]), ("hole", [10**6, 10**6 + 4])):
        changed = json.dumps(
            {**header, second: {**header[second], "data_offsets": offsets}}
        ).encode()
        ways[name] = len(changed).to_bytes(8, "little") + changed + data[8 + head :]
    return ways


@case(
    "G1",
    "weights cut, trailing, overlapping; one bit flipped, 200 times",
    "200 of 200 found; the old model serves on",
)
async def flipped_bits(bench: Bench) -> str:
    service = await bench.shared()
    folder = next(bench.copied_checkpoints().iterdir())
    file = folder / WEIGHTS
    whole = file.read_bytes()
    draw = random.Random(1)
    found = 0
    for _ in range(FLIPS):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.write_bytes(data)
        found += "sha256" in complaint(folder) or "SHA-256" in complaint(folder)
    ways = broken_weights(whole)
    for name, data in ways.items():
        file.write_bytes(data)
        require(WEIGHTS in complaint(folder), f"{name}: {complaint(folder) or 'loads'}")
    figure = f"{found} of {FLIPS} flips and {len(ways)} other ways found"
    require(found == FLIPS, figure)
    return f"{figure}; {await refused_by(service, bench, lambda copy: damage(copy))}"


def damage(folder: Path) -> None:
    """Flip a bit of the weights, and change the manifest so that it is looked at at all."""
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(data)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")


async def refused_by(service: Service, bench: Bench, change: Callable[[Path], None]) -> str:
    """As `refusal`, told for the report."""
    await refusal(service, bench, change)
    return "activating one: 422 model_unusable, the old one answers"


async def refusal(service: Service, bench: Bench, change: Callable[[Path], None]) -> str:
    """Put a changed checkpoint in the place of the one that serves; gives what is said against it.

    Misses the bar where the service takes it, or answers otherwise than before.
    """
    folder = next(bench.checkpoints.iterdir())
    saved = bench.new_folder() / folder.name
    shutil.copytree(folder, saved)
    before = await service.known_answer()
    try:
        change(folder)
        reply = await service.post_admin(f"/v1/admin/models/{folder.name}:activate")
        answer = await service.known_answer()
    finally:
        shutil.rmtree(folder)
        shutil.copytree(saved, folder)
    code = reply.json().get("code")
    require((reply.status_code, code) == (422, "model_unusable"), f"activate: {reply.text[:200]}")
    require(answer == before, "another model answers")
    return str(reply.json()["detail"])


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self._sentinel = sentinel

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self._sentinel}",)


@case(
    "G2",
    "a pickle that runs a command, as weights and beside them",
    "refused, the command did not run",
)
async def pickles(bench: Bench) -> str:
    sentinel = bench.new_folder() / "ran"
    folder = next(bench.copied_checkpoints().iterdir())
    bomb = pickle.dumps(Bomb(sentinel))
    (folder / WEIGHTS).write_bytes(bomb)
    restate(folder, WEIGHTS)
    told = complaint(folder)
    torch.save({"model": Bomb(sentinel)}, folder / WEIGHTS)
    restate(folder, WEIGHTS)
    again = complaint(folder)
    (folder / "optimizer.pt").write_bytes(bomb)
    require(bool(told and again) and not sentinel.exists(), f"{told}; ran: {sentinel.exists()}")
    gate = await proved_by("tests/test_repository.py::test_no_package_uses_an_unsafe_call")
    return f"both refused ({told.split(':')[0][-40:]}…), nothing ran; {gate}"


def restate(folder: Path, name: str) -> None:
    """Make size and digest in the manifest fit, as a forger would."""
    data = (folder / name).read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


@case("G6", "NaN and infinity in one weight, restated", "refused at load, by name")
async def weights_that_are_no_numbers(bench: Bench) -> str:
    folder = next(bench.copied_checkpoints().iterdir())
    told = []
    for value in (float("nan"), float("inf"), float("-inf")):
        weights = load_file(folder / WEIGHTS)
        name = sorted(weights)[0]
        weights[name].view(-1)[0] = value
        save_file(weights, folder / WEIGHTS)
        restate(folder, WEIGHTS)
        told.append(complaint(folder))
        require(name in told[-1], f"{value}: {told[-1] or 'loads'}")
        weights[name].view(-1)[0] = 0.0
        save_file(weights, folder / WEIGHTS)
    running = await proved_by(
        "tests/app/test_scheduler.py::test_a_poisoned_sentence_fails_alone",
        "tests/app/test_scheduler.py::test_a_step_that_fails_for_everybody_fails_those_and_the_next_is_served",
    )
    return f"3 of 3 refused (“{told[0][-60:]}”); while running: {running}"


@case("G10", "the weights are overwritten and cut off while they serve", "no effect")
async def overwritten(bench: Bench) -> str:
    checkpoints = bench.copied_checkpoints()
    file = next(checkpoints.iterdir()) / WEIGHTS
    async with bench.service(checkpoints=checkpoints) as service:
        before = await service.known_answer()
        size = file.stat().st_size
        with file.open("r+b") as weights:
            weights.write(b"\xff" * size)
        overwritten = await service.known_answer()
        os.truncate(file, 10)
        cut = await service.known_answer()
        alive = service.is_alive
    figure = f"{size} bytes overwritten, then cut: {'same answers' if cut == before else 'others'}"
    require(alive and before == overwritten == cut, figure)
    return figure


@case(
    "G11",
    "heads of 99 MB, shapes of 2^40, in 2 GiB of address space",
    "refused, no crash, peak < 2 × the file",
)
async def large_claims(bench: Bench) -> str:
    folder = next(bench.copied_checkpoints().iterdir())
    data = (folder / WEIGHTS).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    name = next(name for name in header if name != "__metadata__")
    shaped = json.dumps({**header, name: {**header[name], "shape": [2**40, 2**20]}}).encode()
    claims = {
        "head of 99 MB": (99 * 10**6).to_bytes(8, "little") + b" " * 99 * 10**6 + data[8 + size :],
        "shape of 2^60": len(shaped).to_bytes(8, "little") + shaped + data[8 + size :],
    }
    grown = []
    for claim, content in claims.items():
        (folder / WEIGHTS).write_bytes(content)
        restate(folder, WEIGHTS)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", LIMITED_LOADING, str(folder)],
            cwd=ROOT, capture_output=True, text=True,
        )  # fmt: skip
        require(done.returncode == 7, f"{claim}: exit {done.returncode} {done.stderr[-200:]}")
        megabytes = int(done.stdout) / 1024
        grown.append(f"{claim}: +{megabytes:.0f} MB for {len(content) / 2**20:.1f} MB")
        require(megabytes < 2 * len(content) / 2**20 + SLACK_MB, grown[-1])
    return f"{len(claims)} refused; {'; '.join(grown)}"
