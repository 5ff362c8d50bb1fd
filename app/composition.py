"""From the hypotheses of sentences to translations of texts, with everything in its place.

What stands between the sentences of a text comes back exactly, and every span indexes the caller's
own text and the returned translation, in code points.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from app.segments import SourceSentence, group_words
from model.alignment import Alignment, AlignmentKind, Level, piece_alignment, word_alignment
from model.hypothesis import Hypothesis
from model.tokenizer import Decoded, Tokenizer
from model.words import Token, tokens_at


@dataclass(frozen=True, slots=True)
class SentenceTranslation:
    """One sentence with one of its hypotheses, placed in the text and in its translation."""

    source: SourceSentence
    hypothesis: Hypothesis
    decoded: Decoded
    """The text of the hypothesis; its spans, one for each piece, index that text."""
    target_start: int
    opposite: Float[Tensor, "S T"] | None = None
    """Head weights of a model of the opposite direction, between the words of both sides."""

    @property
    def target_end(self) -> int:
        """Where it ends in the translation."""
        return self.target_start + len(self.decoded.text)

    @property
    def target_ids(self) -> tuple[int, ...]:
        """The pieces of the hypothesis, without its end."""
        return self.hypothesis.tokens[: len(self.decoded.spans)]

    @property
    def target_pieces(self) -> tuple[Token, ...]:
        """The pieces as parts of the sentence's own translation."""
        return tokens_at(self.decoded.text, self.decoded.spans)

    def alignment(
        self, level: Level, kind: AlignmentKind, threshold: float | None = None
    ) -> Alignment:
        """Its alignment, in coordinates of the whole text and the whole translation.

        `threshold` is where the links of this kind begin, unless a request says otherwise.
        """
        hypothesis = self.hypothesis
        weights = hypothesis.weights if kind == "attention" else hypothesis.head_weights
        assert weights is not None
        pieces = piece_alignment(weights, self.source.pieces, self.target_pieces, kind, threshold)
        if level == "piece":
            aligned = pieces
        else:
            target_words = group_words(self.decoded.text, self.decoded.spans)
            aligned = word_alignment(pieces, self.source.words, target_words)
            if kind == "head":
                aligned = replace(aligned, opposite=self.opposite)
        return aligned.placed(self.source.start, self.target_start)

    def log_probs(self, level: Level) -> list[float]:
        """Log-probability of each target token of `level`: of a word, the sum of its pieces'."""
        of_pieces = self.hypothesis.token_log_probs
        if level == "piece":
            return list(of_pieces[: len(self.decoded.spans)])
        groups = group_words(self.decoded.text, self.decoded.spans)
        return [sum(of_pieces[piece] for piece in group.pieces) for group in groups]


@dataclass(frozen=True, slots=True)
class TextTranslation:
    """One translation of a text."""

    source: str
    text: str
    sentences: tuple[SentenceTranslation, ...]
    head_threshold: float | None = None
    """Where the links of the alignment head begin; None where it was not asked."""

    def threshold(self, kind: AlignmentKind) -> float | None:
        """Where links of this kind begin, unless a request says otherwise."""
        return self.head_threshold if kind == "head" else None

    @property
    def score(self) -> float:
        """Sum of what the search ranked each sentence by."""
        return sum(sentence.hypothesis.score for sentence in self.sentences)

    @property
    def log_prob(self) -> float:
        """Log-probability of all its pieces."""
        return sum(sentence.hypothesis.log_prob for sentence in self.sentences)

    @property
    def finished(self) -> bool:
        """False if a sentence was cut off at its longest length."""
        return all(sentence.hypothesis.finished for sentence in self.sentences)


def compose_best(
    text: str,
    sentences: Sequence[SourceSentence],
    hypotheses: Sequence[Sequence[Hypothesis]],
    tokenizer: Tokenizer,
    n_best: int,
) -> list[TextTranslation]:
    """The `n_best` best translations of a text from the n-best lists of its sentences.

    A text's score is the sum of its sentences', so the best combinations of a text and one more
    sentence are among the best combinations of the text. Cut-off hypotheses stand last, as in the
    search.
    """
    beam = [_Combination(0, 0.0, None, None)]
    for of_sentence in hypotheses:
        extended = [chosen.extended(hypothesis) for chosen in beam for hypothesis in of_sentence]
        beam = sorted(extended, key=lambda one: (one.unfinished, one.cost))[:n_best]
    chosen = [one.hypotheses() for one in beam]
    # Most combinations differ in one sentence, so each hypothesis is decoded once for all.
    distinct = {id(hypothesis): hypothesis for of_text in chosen for hypothesis in of_text}
    decoded = {key: _decode(hypothesis, tokenizer) for key, hypothesis in distinct.items()}
    return [
        _placed(text, sentences, of_text, [decoded[id(hypothesis)] for hypothesis in of_text])
        for of_text in chosen
    ]


def compose(
    text: str,
    sentences: Sequence[SourceSentence],
    hypotheses: Sequence[Hypothesis],
    tokenizer: Tokenizer,
) -> TextTranslation:
    """The translation of a text from one hypothesis for each of its sentences."""
    decoded = [_decode(hypothesis, tokenizer) for hypothesis in hypotheses]
    return _placed(text, sentences, hypotheses, decoded)


class _Combination(NamedTuple):
    """A hypothesis for each of the first sentences; combinations share their beginnings."""

    unfinished: int
    """How many of them were cut off."""
    cost: float
    """The sum of their scores, with the other sign."""
    before: "_Combination | None"
    last: Hypothesis | None

    def extended(self, hypothesis: Hypothesis) -> "_Combination":
        unfinished = self.unfinished + (not hypothesis.finished)
        return _Combination(unfinished, self.cost - hypothesis.score, self, hypothesis)

    def hypotheses(self) -> list[Hypothesis]:
        """In the order of the sentences."""
        found: list[Hypothesis] = []
        one: _Combination | None = self
        while one is not None and one.last is not None:
            found.append(one.last)
            one = one.before
        return found[::-1]


def _decode(hypothesis: Hypothesis, tokenizer: Tokenizer) -> Decoded:
    """Its text, without its end."""
    ids = hypothesis.tokens[:-1] if hypothesis.finished else hypothesis.tokens
    return tokenizer.decode_with_spans(ids)


def _placed(
    text: str,
    sentences: Sequence[SourceSentence],
    hypotheses: Sequence[Hypothesis],
    decoded: Sequence[Decoded],
) -> TextTranslation:
    """Put each hypothesis in the place of its sentence; between them the text stays as it is."""
    parts: list[str] = []
    placed: list[SentenceTranslation] = []
    copied = length = 0
    for sentence, hypothesis, spoken in zip(sentences, hypotheses, decoded, strict=True):
        gap = text[copied : sentence.start]
        placed.append(SentenceTranslation(sentence, hypothesis, spoken, length + len(gap)))
        parts += [gap, spoken.text]
        length += len(gap) + len(spoken.text)
        copied = sentence.end
    parts.append(text[copied:])
    return TextTranslation(text, "".join(parts), tuple(placed))
