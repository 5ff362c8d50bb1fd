"""Models for the cases: untrained and tiny; their answers are nonsense of the right shape."""

from pathlib import Path

from tests.app.conftest import write_checkpoint
from tests.conftest import DATA, train


def write_tiny_models(folder: Path) -> Path:
    """Write one model, `tiny`, English to French; gives the folder that holds it."""
    lines = (DATA / "pairs.en-fr.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [(source, target) for source, target in (line.split("\t") for line in lines)]
    write_checkpoint(folder / "tiny", train(pairs, normalization="nfkc"))
    return folder
