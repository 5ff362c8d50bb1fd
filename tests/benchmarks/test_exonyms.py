"""Places are asked for where both languages write them differently, and without an article."""

import pytest

from benchmarks.exonyms import PLACES, SENTENCES, questions


@pytest.mark.parametrize("source", SENTENCES)
@pytest.mark.parametrize("target", SENTENCES)
def test_only_what_the_languages_write_differently_is_asked(source, target):
    asked = list(questions(source, target))
    assert len({question.sentence for question in asked}) == len(asked)
    assert all(question.here in question.sentence for question in asked)
    assert all(question.here != question.there for question in asked)
    assert bool(asked) == (source != target)
    assert len(asked) % len(SENTENCES[source]) == 0
    assert len(asked) <= len(PLACES) * len(SENTENCES[source])


def test_articles_are_part_of_the_sentence_and_not_of_the_name():
    asked = {question.sentence: question for question in questions("fr", "de")}
    question = asked["Je ne connais pas l'Inde."]
    assert (question.here, question.there) == ("Inde", "Indien")
    assert asked["Je ne connais pas la Suisse."].there == "Schweiz"
