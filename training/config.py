"""Everything a training run can be told, as frozen dataclasses; `read_config` reads them from TOML.

The sections of the file are the fields of `TrainingConfig`. The exact vocabulary size is asked of
the tokenizer, so `[model]` is a complete `ModelConfig` before a single sentence has been read.
"""

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from model.config import ModelConfig

OnBadLine = Literal["error", "skip"]
Decay = Literal["cosine", "inverse_sqrt", "none"]
Precision = Literal["auto", "float32", "bfloat16"]
Device = Literal["auto", "cpu", "cuda"]

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
"""Special ids of every tokenizer that we train; they are the defaults of `ModelConfig`."""


class ConfigError(ValueError):
    """A setting that is missing, misspelt, of the wrong type or out of range; names it."""


def _require(condition: bool, name: str, value: object, wanted: str) -> None:
    if not condition:
        raise ConfigError(f"{name} is {value!r}; it must be {wanted}")


def _require_counts(settings: object, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        _require(value is None or value >= 1, name, value, "at least 1")


def _require_rate(value: float) -> None:
    _require(0 < value < math.inf, "learning_rate", value, "above 0 and finite")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the sentence pairs are and which languages they hold."""

    train: tuple[Path, ...]
    """One TSV file (`source<TAB>target[<TAB>origin]`) or two parallel text files, gzipped or
    not."""
    validation: tuple[Path, ...]
    """The same for the pairs that decide which weights are kept; not one should be in `train`."""
    source_language: str
    """Language code of what goes in, after `reverse`, for example `en`."""
    target_language: str
    """Language code of what comes out, after `reverse`, for example `fr`."""
    reverse: bool = False
    """Swap the columns (or the two files): train the other direction from the same data."""
    on_bad_line: OnBadLine = "error"
    """A line that is not UTF-8 or has no second column: stop (`error`) or count it (`skip`)."""
    made_up_names: float = 0.0
    """Further versions of each training pair that has a name or a number alike on both sides, with
    others in their place, so that what the corpus never held is copied; 0.5 gives half of those
    pairs one."""
    rare_names: int = 0
    """Repeat pairs with a name inside the source that the target writes otherwise, or the other
    way round, at most nine times, until so many pairs have the name."""

    def __post_init__(self) -> None:
        for name in ("train", "validation"):
            files = getattr(self, name)
            wanted = "one TSV file or [source file, target file]"
            _require(len(files) in (1, 2), name, [str(file) for file in files], wanted)
        for name in ("source_language", "target_language"):
            _require(bool(getattr(self, name)), name, getattr(self, name), "a language code")
        versions = self.made_up_names
        _require(0 <= versions <= 100, "made_up_names", versions, "in [0, 100]")
        _require(self.rare_names >= 0, "rare_names", self.rare_names, "at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleaningConfig:
    """Which training pairs are kept; a validation pair is dropped only if a side is empty."""

    normalise: bool = True
    """Delete control characters and fold every run of white space into one space."""
    max_characters: int = 2000
    """Longest side that is kept, in code points."""
    max_pieces: int = 150
    """Longest side that is kept, in pieces, EOS not counted."""
    max_ratio: float = 4.0
    """Greatest ratio of the longer to the shorter side, in code points, after ten are added to
    both so that short answers survive."""
    deduplicate: bool = True
    """Keep a pair once; the same source with two translations stays."""
    drop_identical: bool = False
    """Drop pairs whose sides are equal. Some are useful: names, numbers, URLs are copied."""

    def __post_init__(self) -> None:
        _require_counts(self, "max_characters", "max_pieces")
        _require(self.max_ratio >= 1.0, "max_ratio", self.max_ratio, "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerConfig:
    """The sentencepiece unigram model(s), always with byte fallback."""

    vocabulary_size: int = 8000
    """Pieces of each tokenizer, 4 special tokens and 256 bytes included."""
    joint: bool = True
    """One tokenizer for both languages; needed to share the embeddings."""
    character_coverage: float = 0.99999
    """Share of the text's characters that get a piece; the others are spelt in bytes. Lower it to
    about 0.9995 for scripts with thousands of characters."""
    max_sentences: int = 1_000_000
    """Sentences the tokenizer is trained on, drawn at random; a million of 100
    characters took 2.4 GB."""
    seed: int = 1
    """Seed of that draw; apart from `training.seed`, so that runs can share one tokenizer."""
    take_from: Path | None = None
    """Folder of a checkpoint whose tokenizers are taken, in place of training new ones."""

    def __post_init__(self) -> None:
        size = self.vocabulary_size
        _require(size > 260, "vocabulary_size", size, "above 260 (special tokens and bytes)")
        coverage = self.character_coverage
        _require(0.9 <= coverage <= 1.0, "character_coverage", coverage, "in [0.9, 1]")
        _require(self.max_sentences >= 1000, "max_sentences", self.max_sentences, "at least 1000")
        _require(self.seed >= 0, "seed", self.seed, "at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """The optimisation: what a step is, how many there are, and where they run."""

    max_batch_tokens: int = 4096
    """Padded tokens of a batch: sentences × the longest side of any of them."""
    joined_share: float = 0.0
    """Share of the pairs that are joined at random to longer examples, drawn anew in every epoch,
    so that a corpus of short sentences teaches long ones."""
    joined_pieces: int = 60
    """Longest example that pairs are joined to, in pieces."""
    start_from: Path | None = None
    """Folder of a checkpoint whose weights are taken to begin with, embeddings by the text of their
    pieces; the sizes in `[model]` must be its own."""
    max_epochs: int | None = 12
    """Passes over the corpus, unless `max_steps` says otherwise."""
    max_steps: int | None = None
    """Updates of the weights; takes precedence over `max_epochs`."""
    learning_rate: float = 2e-3
    """Peak of the schedule."""
    warmup_steps: int = 400
    """Updates during which the learning rate climbs linearly to its peak."""
    decay: Decay = "cosine"
    """How the learning rate falls from its peak to the last step."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 switches clipping off."""
    label_smoothing: float = 0.1
    """Probability mass that the loss spreads over the whole vocabulary."""
    ema_decay: float = 0.999
    """Decay of the moving average of the weights that is validated and shipped; 0 for none."""
    seed: int = 1
    """Seed of initialisation, dropout and data order."""
    precision: Precision = "auto"
    """Type of the matrix products; `auto` takes bfloat16 where it is faster."""
    device: Device = "auto"
    """Where the network runs; `auto` takes a GPU if there is one."""
    cuda_graphs: bool = False
    """On one GPU: record the passes of every shape of batch and replay them, sides padded to
    multiples of 8. Has never been run; checks itself at the start."""
    threads: int | None = None
    """CPU threads of torch; None leaves its own choice."""
    validate_every_steps: int | None = None
    """Updates between validations; None validates after every epoch."""
    save_every_steps: int = 500
    """Updates between two saves of the resume state."""
    rank_timeout: int = 60
    """Seconds that the processes of a run on several GPUs or machines wait for each other in an
    update before they give up."""
    patience: int | None = None
    """Validations without a better loss after which training stops; None never stops early."""

    def __post_init__(self) -> None:
        _require_counts(self, "max_batch_tokens", "joined_pieces", "rank_timeout")
        _require_counts(self, "max_epochs", "max_steps", "threads", "patience")
        _require_counts(self, "save_every_steps", "validate_every_steps")
        _require(
            self.max_epochs is not None or self.max_steps is not None,
            "max_epochs",
            self.max_epochs,
            "given unless max_steps is",
        )
        _require(0 <= self.joined_share <= 1, "joined_share", self.joined_share, "in [0, 1]")
        _require_rate(self.learning_rate)
        for name in ("warmup_steps", "weight_decay", "clip_norm", "seed"):
            _require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "at least 0")
        for name in ("label_smoothing", "ema_decay"):
            _require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What is measured besides the loss while training goes on."""

    max_pairs: int = 500
    """Pairs that are translated for BLEU and chrF, from the top of the file; 0 for all."""
    beam_size: int = 5
    """Width of the beam they are translated with; 1 is greedy and quickest."""
    samples: int = 3
    """Translations that are printed."""
    gold_align: tuple[Path, ...] = ()
    """Folders with `src.txt`, `tgt.txt`, `gold.txt`: alignments made by hand, for AER."""

    def __post_init__(self) -> None:
        _require(self.beam_size >= 1, "beam_size", self.beam_size, "at least 1")
        _require(self.samples >= 0, "samples", self.samples, "at least 0")
        _require(self.max_pairs >= 0, "max_pairs", self.max_pairs, "at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignConfig:
    """Where silver links between the words of the training pairs come from."""

    links: Path | None = None
    """Links of another aligner, `source-target` over the white-space words of
    `prepared/train.source.txt` and `.target.txt`, a line for each pair; without it eflomal makes
    them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadTrainingConfig:
    """The alignment head: its size and how it is trained on a finished translator."""

    units: int = 384
    """Width of its queries and keys."""
    refinement_channels: int = 16
    """Channels of its refinement, a second look at the whole matrix; 0 for none."""
    max_steps: int = 800
    """Updates of its weights."""
    refinement_steps: int = 400
    """Updates of the refinement's weights after those, while the head's stay as they are."""
    max_batch_tokens: int = 2048
    """Padded tokens of a batch: sentences × the longest side of any of them."""
    learning_rate: float = 2e-3
    """Peak of the schedule: warm-up over a twentieth of the steps, then cosine."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    joined_share: float = 0.5
    """Share of the pairs that are joined at random to longer examples, so that the head learns to
    read long texts from a corpus of short sentences."""
    joined_pieces: int = 100
    """Longest example that pairs are joined to, in pieces."""
    dropout: float = 0.1
    """Share of what the head reads that is dropped while it is trained."""
    held_out: int = 1000
    """Training pairs, spread evenly, that are kept back, at most a tenth of them; the threshold is
    chosen on their links."""
    seed: int = 1
    """Seed of initialisation, dropout and data order."""

    def __post_init__(self) -> None:
        _require_counts(self, "units", "max_steps", "refinement_steps")
        _require_counts(self, "max_batch_tokens", "joined_pieces", "held_out")
        _require(0 <= self.joined_share <= 1, "joined_share", self.joined_share, "in [0, 1]")
        _require_rate(self.learning_rate)
        for name in ("weight_decay", "seed", "refinement_channels"):
            _require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "at least 0")
        _require(0 <= self.dropout < 1, "dropout", self.dropout, "in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class CardConfig:
    """What the model card says that cannot be measured, as Markdown."""

    data: str = ""
    """Where the sentences come from."""
    licence: str = ""
    """Under which licences they stand, with the lines of attribution they ask for."""
    limits: str = ""
    """What the model is bad at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One run; raises ConfigError where two settings contradict each other."""

    run: Path
    """Folder of everything the run writes: prepared corpus, resume state, logs, checkpoint."""
    data: DataConfig
    cleaning: CleaningConfig = field(default_factory=CleaningConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig
    """Vocabulary sizes and special ids follow from `tokenizer`; the other fields are `[model]`."""
    training: TrainerConfig = field(default_factory=TrainerConfig)
    validation: ValidationConfig = field(default_factory=ValidationConfig)
    card: CardConfig = field(default_factory=CardConfig)
    align: AlignConfig = field(default_factory=AlignConfig)
    head: HeadTrainingConfig = field(default_factory=HeadTrainingConfig)

    def __post_init__(self) -> None:
        if self.model.share_embeddings and not self.tokenizer.joint:
            raise ConfigError(
                "model.share_embeddings is true but tokenizer.joint is false; "
                "shared embeddings need one joint vocabulary"
            )
        if self.validation.gold_align and self.model.attention == "none":
            raise ConfigError(
                'validation.gold_align needs attention; model.attention is "none", which has no '
                "weights to compare"
            )
        if self.training.joined_share and (
            self.training.max_batch_tokens <= self.training.joined_pieces
        ):
            raise ConfigError(
                f"training.joined_pieces is {self.training.joined_pieces}; it must be below "
                f"training.max_batch_tokens ({self.training.max_batch_tokens})"
            )
        if self.training.max_batch_tokens <= self.cleaning.max_pieces:
            raise ConfigError(
                f"training.max_batch_tokens is {self.training.max_batch_tokens}; it must exceed "
                f"cleaning.max_pieces ({self.cleaning.max_pieces}), else the longest pair with "
                "its EOS fits into no batch"
            )

    @property
    def prepared_folder(self) -> Path:
        """Where `prepare` puts the tokenizers and the token ids."""
        return self.run / "prepared"

    @property
    def checkpoint_folder(self) -> Path:
        """Where the best weights go, as the service loads them."""
        return self.run / "checkpoint"

    def as_dict(self) -> dict[str, Any]:
        """Nested plain values (paths as strings), to be stored as JSON and compared."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:  # noqa: ANN401 - walks any nesting of settings
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case Path():
            return str(value)
        case _:
            return value
