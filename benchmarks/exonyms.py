"""How many names that the target language writes otherwise does a model know, and how many copy?

    python -m benchmarks.exonyms checkpoints/en-fr checkpoints/en-de

English, French and German, in any direction: places in simple sentences, all of them ours.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint import Checkpoint, load_checkpoint
from model.hypothesis import SearchOptions
from training.translation import translate

SENTENCES = {
    "en": ("I do not know {}.", "We visited {} last year.", "My brother wants to see {}."),
    "fr": (
        "Je ne connais pas {}.",
        "Nous avons visité {} l'année dernière.",
        "Mon frère veut voir {}.",
    ),
    "de": (
        "Ich kenne {} nicht.",
        "Wir haben letztes Jahr {} besucht.",
        "Mein Bruder möchte {} sehen.",
    ),
}

PLACES = tuple(
    dict(zip(("en", "fr", "de"), line.split(" | "), strict=True))
    for line in """
Africa | l'Afrique | Afrika
Algeria | l'Algérie | Algerien
Asia | l'Asie | Asien
Athens | Athènes | Athen
Austria | l'Autriche | Österreich
Beijing | Pékin | Peking
Belgium | la Belgique | Belgien
Brazil | le Brésil | Brasilien
Brussels | Bruxelles | Brüssel
Cologne | Cologne | Köln
Croatia | la Croatie | Kroatien
Denmark | le Danemark | Dänemark
Egypt | l'Égypte | Ägypten
England | l'Angleterre | England
Finland | la Finlande | Finnland
Geneva | Genève | Genf
Germany | l'Allemagne | Deutschland
Greece | la Grèce | Griechenland
Hungary | la Hongrie | Ungarn
India | l'Inde | Indien
Ireland | l'Irlande | Irland
Italy | l'Italie | Italien
Lisbon | Lisbonne | Lissabon
London | Londres | London
Mexico | le Mexique | Mexiko
Milan | Milan | Mailand
Morocco | le Maroc | Marokko
Moscow | Moscou | Moskau
Munich | Munich | München
Naples | Naples | Neapel
Norway | la Norvège | Norwegen
Poland | la Pologne | Polen
Romania | la Roumanie | Rumänien
Rome | Rome | Rom
Russia | la Russie | Russland
Scotland | l'Écosse | Schottland
Spain | l'Espagne | Spanien
Sweden | la Suède | Schweden
Switzerland | la Suisse | die Schweiz
Turkey | la Turquie | die Türkei
Venice | Venise | Venedig
Vienna | Vienne | Wien
""".strip().split("\n")
)


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence with a place, and how both languages write that, without an article."""

    sentence: str
    here: str
    there: str


def main() -> None:
    """Print for each checkpoint how many of the places are translated and how many copied."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("checkpoints", nargs="+", type=Path, help="folders, compared in turn")
    arguments.add_argument("--beam", type=int, default=5)
    given = arguments.parse_args()
    for folder in given.checkpoints:
        checkpoint = load_checkpoint(folder)
        languages = checkpoint.manifest.source_language, checkpoint.manifest.target_language
        if missing := set(languages) - set(SENTENCES):
            arguments.error(f"{folder}: no places in {', '.join(missing)}; see {__file__}")
        asked = list(questions(*languages))
        translated, copied = answers(checkpoint, asked, given.beam)
        print(
            f"{folder}: of {len(asked)} places {translated} translated "
            f"({translated / len(asked):.1%}), {copied} copied ({copied / len(asked):.1%})"
        )


def questions(source: str, target: str) -> Iterator[Question]:
    """Every place that the two languages write differently, in every sentence."""
    for place in PLACES:
        here, there = (_bare(place[language]) for language in (source, target))
        if here != there:
            for sentence in SENTENCES[source]:
                yield Question(sentence.format(place[source]), here, there)


def answers(checkpoint: Checkpoint, asked: list[Question], beam: int) -> tuple[int, int]:
    """How many translations have the place as the target writes it, and how many as the source."""
    translations = translate(
        checkpoint.model,
        checkpoint.source_tokenizer,
        checkpoint.target_tokenizer,
        [question.sentence for question in asked],
        SearchOptions(beam_size=beam),
        torch.device("cpu"),
    )
    pairs = list(zip(asked, translations, strict=True))
    translated = sum(question.there in text for question, text in pairs)
    copied = sum(question.here in text and question.there not in text for question, text in pairs)
    return translated, copied


def _bare(place: str) -> str:
    return place.removeprefix("l'").split()[-1]


if __name__ == "__main__":
    main()
