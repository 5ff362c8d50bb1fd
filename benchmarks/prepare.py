"""Preparation of a large synthetic corpus: seconds and peak memory, at a tenth and at full size.

`python -m benchmarks.prepare --pairs 10000000` asks for 4 GiB at most and for a time that grows no
faster than the corpus. The tokenizer is trained on a bounded sample, so its share is given apart.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WORDS = 60_000
BLOCK = 20_000
LIMIT_GIB = 4.0
TOML = """
run = "run"
[data]
train = "train.tsv"
validation = "validation.tsv"
source_language = "en"
target_language = "fr"
[tokenizer]
max_sentences = {sentences}
"""


def words(seed: int) -> list[str]:
    """Made-up words of two to eleven letters."""
    random = np.random.default_rng(seed)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyzéèà"))
    return ["".join(random.choice(letters, random.integers(2, 12))) for _ in range(WORDS)]


def write_pairs(path: Path, count: int, seed: int) -> None:
    """Sentences of 4 to 24 words in a language and its word-for-word translation, Zipf's law."""
    random = np.random.default_rng(seed)
    vocabulary = list(zip(words(1), words(2), strict=True))
    with path.open("w", encoding="utf-8") as file:
        for begin in range(0, count, BLOCK):
            lengths = random.integers(4, 25, min(BLOCK, count - begin))
            # Ranks whose frequency falls like their inverse.
            ranks = np.exp(random.random(lengths.sum()) * np.log(WORDS)).astype(int) - 1
            drawn = iter(ranks.tolist())
            for length in lengths.tolist():
                pairs = [vocabulary[next(drawn)] for _ in range(length)]
                source, target = (" ".join(side) for side in zip(*pairs, strict=True))
                file.write(f"{source}\t{target}\n")


def prepare(folder: Path, pairs: int, sentences: int) -> dict[str, float]:
    """`python -m training prepare` on so many pairs, in a process of its own."""
    folder.mkdir()
    write_pairs(folder / "train.tsv", pairs, seed=3)
    write_pairs(folder / "validation.tsv", 1000, seed=4)
    (folder / "config.toml").write_text(TOML.format(sentences=sentences), encoding="utf-8")
    command = [sys.executable, "-m", "training", "prepare", str(folder / "config.toml")]
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    printed = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(printed)
    tokenizer = re.search(r"Tokenizer trained in ([\d.]+) s", printed)
    assert tokenizer is not None
    account = json.loads((folder / "run" / "prepared" / "manifest.json").read_text("utf-8"))
    report = account["reports"]["train"]
    assert report["read"] == pairs
    return {
        "pairs": pairs,
        "kept": report["kept"],
        "seconds": seconds,
        "tokenizer_seconds": float(tokenizer[1]),
        "peak_gib": usage.ru_maxrss / 2**20,
        "corpus_gb": (folder / "train.tsv").stat().st_size / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000_000)
    parser.add_argument("--tokenizer-sentences", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to work; it needs 6 GB for 10M pairs")
    arguments = parser.parse_args()
    found = []
    for pairs in (arguments.pairs // 10, arguments.pairs):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            found.append(prepare(Path(folder) / "corpus", pairs, arguments.tokenizer_sentences))
        print(json.dumps({key: round(value, 2) for key, value in found[-1].items()}), flush=True)
    small, large = (item["seconds"] - item["tokenizer_seconds"] for item in found)
    print(f"without the tokenizer's training, ten times the pairs took {large / small:.1f} times")
    peak = found[-1]["peak_gib"]
    print(f"peak {peak:.2f} GiB, {'within' if peak < LIMIT_GIB else 'ABOVE'} {LIMIT_GIB} GiB")


if __name__ == "__main__":
    main()
