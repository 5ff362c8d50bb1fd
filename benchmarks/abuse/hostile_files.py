"""G: tokenizers and manifests that somebody made to do harm, with digests that fit."""

import asyncio
import json
import random
import struct
import sys
from pathlib import Path

from benchmarks.abuse.artefacts import WEIGHTS, complaint, refusal, refused_by, restate
from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import ROOT
from benchmarks.abuse.tested import proved_by
from benchmarks.abuse.traced import traced

TOKENIZER = "source.spm"
TRIALS = 50
ENTRIES = 1_000_000
OUTSIDE = "/etc/passwd"


@case(
    "G4", "another tokenizer: of another size, of the same; none", "refused on its SHA-256 or size"
)
async def swapped_tokenizers(bench: Bench) -> str:
    folder = next(bench.copied_checkpoints().iterdir())
    file = folder / TOKENIZER
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    same_size = complaint(folder)
    file.unlink()
    missing = complaint(folder)
    require(TOKENIZER in same_size and TOKENIZER in missing, f"{same_size}; {missing}")
    tests = await proved_by(
        "tests/model/test_checkpoint.py::test_a_tokenizer_of_another_size_is_refused",
        "tests/model/test_checkpoint.py::test_a_tokenizer_is_not_parsed_before_its_digest_is_known",
    )
    return f"both named; {tests}"


@case(
    "G5",
    "tokenizers: random bytes, a piece of 200 kB, a broken charsmap, a NUL; 50 mutations",
    "each refused when activated; the service lives, whatever its child does",
)
async def hostile_tokenizers(bench: Bench) -> str:
    """Their digests are restated: a forger would, and only the child's parser is left then."""
    service = await bench.shared()
    folder = next(bench.copied_checkpoints().iterdir())
    whole = (folder / TOKENIZER).read_bytes()
    draw = random.Random(5)
    told = {}
    for name, data in hostile(whole, draw).items():
        told[name] = await refusal(service, bench, lambda one, data=data: _forge(one, data))
        require(service.is_alive, f"{name}: the service died")
    died = 0
    for number in range(TRIALS):
        path = folder / f"{number}.spm"
        path.write_bytes(_mutated(whole, draw))
        died += await _parsed(path) != 0
    alive = service.is_alive and await service.status("/readyz") == 200
    ended = sum("ended its process" in one for one in told.values())
    figure = (
        f"{len(told)} of {len(told)} refused ({ended} ended the child), {died} of {TRIALS} "
        f"mutations ended theirs, the service {'lives' if alive else 'is gone'}"
    )
    require(alive, figure)
    return figure


def hostile(whole: bytes, draw: random.Random) -> dict[str, bytes]:
    """Serialized models that crashed or misled sentencepiece, by name.

    Protocol buffers may be put together: what is added behind a message belongs to it.
    """
    return {
        "random bytes": draw.randbytes(4_000),
        "piece of 200 kB": whole + _piece(b"a" * 200_000),
        "piece with NUL": whole + _piece(b"a\0b"),
        "charsmap": whole + _field(3, _field(2, draw.randbytes(1_000))),
        "charsmap of claims": whole + _field(3, _field(2, b"\xff\xff\xff\x7f" + bytes(64))),
        "no pieces": _field(3, _field(1, b"nfkc")),
    }


def _piece(text: bytes) -> bytes:
    """One more entry of the vocabulary, of the lowest score."""
    return _field(1, _field(1, text) + b"\x15" + struct.pack("<f", -1e9))


def _field(number: int, content: bytes) -> bytes:
    """A field that has a length."""
    length, head = len(content), bytes([number << 3 | 2])
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + content


async def _parsed(path: Path) -> int:
    """Exit code of a process that reads a tokenizer, and may raise what it likes."""
    script = (
        "import sys, pathlib, model.tokenizer as t\n"
        "try:\n    t.Tokenizer(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "except Exception: pass\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, str(path), cwd=ROOT, stderr=asyncio.subprocess.DEVNULL
    )
    return await child.wait()


def _mutated(data: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return draw.randbytes(draw.randrange(1, 5_000))
    changed = bytearray(data)
    for _ in range(draw.randrange(1, 50)):
        changed[draw.randrange(len(changed))] = draw.randrange(256)
    return bytes(changed)


def _forge(folder: Path, tokenizer: bytes) -> None:
    (folder / TOKENIZER).write_bytes(tokenizer)
    restate(folder, TOKENIZER)


@case(
    "G7",
    "manifest with ../, absolute paths, links, pipes, devices, a million entries",
    "refused, nothing outside is opened (strace)",
)
async def hostile_manifests(bench: Bench) -> str:
    folder = next(bench.copied_checkpoints().iterdir())
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = manifest["files"][WEIGHTS]
    names = (f"../..{OUTSIDE}", OUTSIDE, "a/../../b", "..", "a\\b", "C:x", "a\0b", "", "/dev/zero")
    for name in names:
        _list(folder, {**manifest["files"], name: entry})
        require(bool(complaint(folder)), f"{name!r} loads")
    _list(folder, {**manifest["files"], **{f"f{n}": entry for n in range(ENTRIES)}})
    require(bool(complaint(folder)), f"a manifest of {ENTRIES:,} files loads")
    service = await bench.shared()
    async with traced(bench, service, "open", "openat") as trace:
        for change in (_points_outside, _links_outside):
            await refused_by(service, bench, change)
    opened = trace.arguments("openat") | trace.arguments("open")
    require("manifest.json" in " ".join(opened), "the trace saw nothing")
    outside = sorted(path for path in opened if path.endswith(OUTSIDE))
    file = "tests/model/test_checkpoint.py"
    tests = await proved_by(
        f"{file}::test_a_path_in_the_manifest_is_refused",
        f"{file}::test_a_link_out_of_the_folder_is_refused",
        f"{file}::test_a_pipe_or_a_folder_in_place_of_a_file_is_refused",
    )
    figure = f"{len(names) + 1} manifests refused, {len(outside)} of {len(opened)} files outside"
    require(not outside, f"{figure}: {outside}")
    return f"{figure}; {tests}"


def _list(folder: Path, files: dict[str, object]) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "files": files}))


def _points_outside(folder: Path) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    _list(folder, {**files, f"../../../../../../..{OUTSIDE}": files[WEIGHTS]})


def _links_outside(folder: Path) -> None:
    (folder / TOKENIZER).unlink()
    (folder / TOKENIZER).symlink_to(OUTSIDE)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
