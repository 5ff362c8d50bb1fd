"""How many names that a model has hardly ever seen does it copy? Asked of sentences of your own.

    python -m benchmarks.names checkpoints/en-fr --pairs data/en-fr/dev.tsv

Where a pair has a name of both sides, one of a list of real names takes its place, and the
translation is looked through for it. The list is ours; none of it is made by `made_up_names`.
"""

import argparse
from collections import Counter
from pathlib import Path
from random import Random

import torch

from model.checkpoint import Checkpoint, load_checkpoint
from model.hypothesis import SearchOptions
from training.cleaning_report import CleaningReport
from training.corpus import Pair, read_pairs
from training.made_up_names import names_of_both, with_names
from training.translation import translate

NAMES = {
    "plain": (
        *("Abernathy", "Adichie", "Bakewell", "Bengaluru", "Brubeck", "Castellanos", "Chengdu"),
        *("Dalhousie", "Deepika", "Eastwick", "Fitzgerald", "Gaborone", "Goldblum", "Haverkamp"),
        *(
            "Heathcliff",
            "Honshu",
            "Ishiguro",
            "Jaramillo",
            "Kalinowski",
            "Kilimanjaro",
            "Kowalczyk",
        ),
        *("Kuala", "Lindqvist", "Ludwig", "Mahabharata", "Mbappe", "Montevideo", "Murakami"),
        *("Narendra", "Okavango", "Oppenheimer", "Ouagadougou", "Pemberton", "Petrov", "Quigley"),
        *("Rijksmuseum", "Rostropovich", "Siminoff", "Soyinka", "Stavropol", "Takahashi", "Tanaka"),
        *("Tchaikovsky", "Ulrich", "Vanderbilt", "Venkatesh", "Wojciech", "Xing", "Yamamoto"),
        *("Yellowstone", "Zanzibar", "Zbigniew", "Zuckerman"),
    ),
    "with letters in bytes": (
        *("Björk", "Brâncuși", "Čapek", "Dvořák", "Erdoğan", "Gaudí", "Håkon", "Jiří"),
        *("Kraków", "Łódź", "Malmö", "Núñez", "Øyvind", "Perón", "Šibenik", "Sigurður"),
        *("Söderberg", "Tübingen", "Wałęsa", "Žižek"),
    ),
}


def main() -> None:
    """Print, for each kind of name, how many of them came through whole."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("checkpoints", nargs="+", type=Path, help="folders, compared in turn")
    arguments.add_argument("--pairs", type=Path, required=True, help="TSV: source, target")
    arguments.add_argument("--reverse", action="store_true", help="swap the columns")
    arguments.add_argument("--beam", type=int, default=5)
    given = arguments.parse_args()
    asked = questions(given.pairs, reverse=given.reverse)
    for folder in given.checkpoints:
        checkpoint = load_checkpoint(folder)
        found = copied(checkpoint, asked, given.beam)
        for kind in NAMES:
            count = sum(one_kind == kind for _, _, one_kind in asked)
            share = found[kind] / max(count, 1)
            print(f"{folder} {kind}: {found[kind]} of {count} names copied ({share:.1%})")


def questions(pairs: Path, *, reverse: bool) -> list[tuple[Pair, str, str]]:
    """Pairs with a real name in place of one of theirs, the name, and its kind."""
    random = Random(1)
    asked = []
    for pair in read_pairs((pairs,), CleaningReport(), reverse=reverse):
        words = sorted(word for word in names_of_both(pair) if not word.isdigit())
        if words:
            kind = random.choice(list(NAMES))
            name = random.choice(NAMES[kind])
            asked.append((with_names(pair, {words[0]: name}), name, kind))
    return asked


def copied(checkpoint: Checkpoint, asked: list[tuple[Pair, str, str]], beam: int) -> Counter[str]:
    """How many names of each kind stand in the translations."""
    translations = translate(
        checkpoint.model,
        checkpoint.source_tokenizer,
        checkpoint.target_tokenizer,
        [pair.source for pair, _, _ in asked],
        SearchOptions(beam_size=beam),
        torch.device("cpu"),
    )
    return Counter(
        kind for (_, name, kind), text in zip(asked, translations, strict=True) if name in text
    )


if __name__ == "__main__":
    main()
