"""Trains sentencepiece models: unigram, NFKC, byte fallback, the special ids of `config`."""

import io
import string
from collections.abc import Iterable

import sentencepiece

from training.config import BOS_ID, EOS_ID, PAD_ID, UNK_ID, TokenizerConfig

THREADS = 4
"""Fixed, whatever the machine: sums of floats depend on how the work is divided."""
SILENT = 2
"""Log level of sentencepiece that lets errors through and nothing else."""
REQUIRED_CHARACTERS = string.ascii_letters + string.digits + string.punctuation
REQUIRED_CHARACTERS += "–—\N{LEFT SINGLE QUOTATION MARK}’“”«»€°"
"""Characters of any text that get a piece even where the corpus hardly has them."""


class TokenizerTrainingError(ValueError):
    """A tokenizer that this corpus cannot give; names the setting to change."""


def train_tokenizer(sentences: Iterable[str], config: TokenizerConfig) -> bytes:
    """Train one tokenizer and return its serialised model; equal input gives equal bytes.

    `nmt_nfkc` folds what NFKC folds (no-break and thin spaces, ligatures, full width) and drops
    control characters. Digits are pieces of their own, so that numbers are copied digit by digit.
    Raises TokenizerTrainingError where the corpus is too small for the vocabulary or the reverse.
    """
    sentencepiece.set_random_generator_seed(config.seed)
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences),
            model_writer=model,
            model_type="unigram",
            vocab_size=config.vocabulary_size,
            character_coverage=config.character_coverage,
            required_chars=REQUIRED_CHARACTERS,
            byte_fallback=True,
            split_digits=True,
            normalization_rule_name="nmt_nfkc",
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            input_sentence_size=config.max_sentences,
            shuffle_input_sentence=True,
            num_threads=THREADS,
            minloglevel=SILENT,
        )
    except (RuntimeError, OSError) as error:
        raise TokenizerTrainingError(_explain(str(error), config)) from error
    return model.getvalue()


def _explain(message: str, config: TokenizerConfig) -> str:
    size = config.vocabulary_size
    if "Vocabulary size too high" in message:
        limit = message.rpartition("<=")[2].strip(" .")
        return (
            f"tokenizer.vocabulary_size is {size}, more than this corpus has pieces for; "
            f"set it to {limit} or less, or bring more text"
        )
    if "smaller than required_chars" in message:
        # "…required_chars. 300 vs 365. Increase…", where 365 counts special tokens and bytes too
        least = message.partition(" vs ")[2].partition(".")[0]
        return (
            f"tokenizer.vocabulary_size is {size}, too few for the characters of this corpus, 256 "
            f"bytes and the special tokens; set it to {least} or more, or lower "
            "tokenizer.character_coverage"
        )
    return f"sentencepiece could not be trained: {message}"
