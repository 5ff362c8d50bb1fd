"""What several tests share: a corpus that we wrote and a tokenizer trained on it."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sentencepiece import SentencePieceTrainer

from model.tokenizer import Tokenizer

# A busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).parents[1]
DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def pairs() -> list[tuple[str, str]]:
    """Our 320 English–French sentence pairs."""
    lines = (DATA / "pairs.en-fr.tsv").read_text(encoding="utf-8").splitlines()
    return [(source, target) for source, target in (line.split("\t") for line in lines)]


@pytest.fixture(scope="session")
def joint_tokenizer(pairs: list[tuple[str, str]]) -> Tokenizer:
    """One vocabulary of 500 pieces over both languages, byte fallback, NFKC."""
    return train(pairs, normalization="nfkc")


@pytest.fixture(scope="session")
def train_joint_tokenizer(pairs: list[tuple[str, str]]) -> Callable[[str], Tokenizer]:
    """The same vocabulary under the normalization rule that is passed in."""
    return lambda normalization: train(pairs, normalization=normalization)


def train(
    pairs: list[tuple[str, str]],
    *,
    normalization: str = "nmt_nfkc",
    size: int = 500,
    **options: bool,
) -> Tokenizer:
    buffer = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([sentence for pair in pairs for sentence in pair]),
        model_writer=buffer,
        vocab_size=size,
        byte_fallback=True,
        normalization_rule_name=normalization,
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return Tokenizer(buffer.getvalue())


@pytest.fixture(scope="session")
def shipped_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a service of the shipped model answers, for what the documents show of it."""
    # Here, so that tests of the network alone do not load the service.
    from app.main import create_app
    from app.models import load_models
    from app.settings import Settings
    from tests.running_app import running

    models = load_models(ROOT / "checkpoints" / "en-fr")
    with running(create_app(Settings(data=tmp_path_factory.mktemp("shipped")), models)) as address:
        yield address
