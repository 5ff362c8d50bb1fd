"""One paragraph on which variant to take, computed from the figures."""

from collections.abc import Sequence

from training.textbook.lengths import ALL
from training.textbook.results import Failure, Standing

CHANCE = 0.05
"""Above this p-value, a lead in BLEU may be luck, and the faster variant is preferred."""
TRANSLATES = 2.0
"""BLEU below which no variant has begun to translate, and its differences are noise."""


def recommended(standings: Sequence[Standing]) -> Standing:
    """The quickest in training of those whose BLEU may equal the best.

    Where none translates yet, the one with the lowest loss.
    """
    leader = _leader(standings)
    if leader.result.bleu < TRANSLATES:
        return min(standings, key=lambda standing: standing.result.loss)
    equals = [s for s in standings if s is leader or _may_equal(s)]
    return min(equals, key=lambda standing: standing.throughput.seconds_per_update)


def recommend(standings: Sequence[Standing], failures: Sequence[Failure]) -> str:
    """The recommendation with its reasons, each a figure of the comparison."""
    if not standings:
        return "No variant could be trained; the reasons stand below."
    chosen = recommended(standings)
    if len(standings) > 1 and _leader(standings).result.bleu < TRANSLATES:
        sentences = [_too_early(chosen)]
    else:
        sentences = [_choice(chosen, standings)]
        if len(standings) > 1:
            sentences += [_speed(chosen, standings), *_long_sources(chosen, standings)]
    if failures:
        names = ", ".join(failure.label for failure in failures)
        sentences.append(f"Not to be trained like this: {names}.")
    sentences.append("Each was trained once: another seed or a larger budget may change the order.")
    return " ".join(sentences)


def _leader(standings: Sequence[Standing]) -> Standing:
    return max(standings, key=lambda standing: standing.result.bleu)


def _may_equal(standing: Standing) -> bool:
    return standing.p_value is not None and standing.p_value >= CHANCE


def _too_early(chosen: Standing) -> str:
    return (
        f"Give a larger budget: no variant translates yet (BLEU below {TRANSLATES:g}). Until then "
        f"the loss alone speaks, and it is lowest with {chosen.result.label}: "
        f"{chosen.result.loss:.2f}."
    )


def _choice(chosen: Standing, standings: Sequence[Standing]) -> str:
    leader, figures = _leader(standings), f"BLEU {chosen.result.bleu:.1f}"
    name = chosen.result.label
    if len(standings) == 1:
        return f"Only {name} was trained: {figures}."
    if chosen is not leader:
        return (
            f"Take {name}: its {figures} may equal the best, {leader.result.label} at "
            f"{leader.result.bleu:.1f} (p = {chosen.p_value:.2f}), and it trains faster."
        )
    equals = [s for s in standings if _may_equal(s)]
    if not equals:
        return f"Take {name}: with {figures} it is ahead of all others by more than chance."
    names = ", ".join(f"{s.result.label} ({s.result.bleu:.1f})" for s in equals)
    return f"Take {name}: {figures}; {names} may be equal, but no faster to train."


def _speed(chosen: Standing, standings: Sequence[Standing]) -> str:
    fastest = min(standings, key=lambda standing: standing.throughput.seconds_per_update)
    if fastest is chosen:
        return "No variant trains faster."
    ratio = chosen.throughput.seconds_per_update / fastest.throughput.seconds_per_update
    return (
        f"An update takes {ratio:.1f} times as long as with {fastest.result.label}, the fastest, "
        f"which reaches BLEU {fastest.result.bleu:.1f}."
    )


def _long_sources(chosen: Standing, standings: Sequence[Standing]) -> list[str]:
    """What happens in the last bucket that is scored; the buckets are the same for all."""
    if not chosen.result.by_length[ALL]:
        return []
    last = chosen.result.by_length[ALL][-1]
    others = {
        standing.result.label: standing.result.by_length[ALL][-1].bleu
        for standing in standings
        if standing is not chosen
    }
    best, worst = max(others, key=others.__getitem__), min(others, key=others.__getitem__)
    rest = (
        f"{others[best]:.1f} with {best}"
        if best == worst
        else f"{others[worst]:.1f} ({worst}) to {others[best]:.1f} ({best}) with the others"
    )
    return [
        f"On the longest sources ({last.label} pieces, {last.sentences} sentences) it has "
        f"BLEU {last.bleu:.1f}, against {rest}."
    ]
