"""Whether one translation's lead in BLEU over another is more than the luck of the test set."""

from collections.abc import Mapping, Sequence

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.significance import PairedTest, Result

from training.metrics import bleu_tokens

SAMPLES = 1000
"""Test sets drawn with replacement from the given one."""


def p_values(
    leader: Sequence[str],
    others: Mapping[str, Sequence[str]],
    references: Sequence[str],
    language: str,
) -> dict[str, float]:
    """Paired bootstrap resampling (Koehn 2004) of each of `others` against `leader`, by BLEU.

    `language` is that of the translations.

    A high value means that the two may well be equal; equal scores give 1.
    """
    if not others:
        return {}
    metrics: dict[str, Metric] = {"bleu": BLEU(tokenize=bleu_tokens(language))}
    named: list[tuple[str, Sequence[str]]] = [("leader", leader), *others.items()]
    test = PairedTest(
        named, metrics, [list(references)], test_type="bs", n_samples=SAMPLES, n_jobs=1
    )
    _, columns = test()
    (results,) = (column for name, column in columns.items() if name != "System")
    best, *rest = (result for result in results if isinstance(result, Result))
    found = {}
    for name, result in zip(others, rest, strict=True):
        assert result.p_value is not None
        found[name] = 1.0 if result.score == best.score else float(result.p_value)
    return found
