"""The rule: the fastest of those whose BLEU may equal the best, and every figure with its name."""

from tests.training.textbook.made_up import standing
from training.textbook.recommendation import recommend, recommended
from training.textbook.results import Failure


def test_clear_leader_is_taken_however_slow():
    standings = [standing("quick", 20.0, 0.1, 0.001), standing("slow", 25.0, 0.4, None, 12.0)]
    assert recommended(standings).result.label == "slow"
    text = recommend(standings, [])
    assert "Take slow: with BLEU 25.0 it is ahead of all others by more than chance." in text
    assert "An update takes 4.0 times as long as with quick" in text
    assert "81+ pieces, 11 sentences) it has BLEU 12.0, against 1.0 with quick" in text


def test_lead_by_chance_gives_way_to_speed():
    standings = [
        standing("slow", 25.0, 0.4, None),
        standing("quick", 24.8, 0.2, 0.3),
        standing("quicker", 20.0, 0.1, 0.002),
    ]
    assert recommended(standings).result.label == "quick"
    text = recommend(standings, [])
    assert "its BLEU 24.8 may equal the best, slow at 25.0 (p = 0.30)" in text
    assert "An update takes 2.0 times as long as with quicker" in text


def test_leader_that_is_also_the_fastest_of_its_equals_names_them():
    standings = [standing("both", 25.0, 0.1, None), standing("equal", 24.9, 0.2, 0.4)]
    text = recommend(standings, [])
    assert "Take both: BLEU 25.0; equal (24.9) may be equal, but no faster to train." in text
    assert "No variant trains faster." in text


def test_before_any_variant_translates_the_loss_alone_speaks():
    standings = [
        standing("noise", 0.3, 0.1, None, loss=5.0),
        standing("learns", 0.1, 0.4, 0.6, loss=4.0),
    ]
    assert recommended(standings).result.label == "learns"
    text = recommend(standings, [])
    assert "no variant translates yet (BLEU below 2)" in text
    assert "lowest with learns: 4.00" in text
    assert "Take" not in text


def test_single_variant_is_no_choice():
    assert recommend([standing("one", 3.0, 0.1, None)], []).startswith("Only one was trained")


def test_variants_that_failed_are_named():
    failure = Failure("wild", {"learning_rate": 9.0}, "not finite")
    assert "Not to be trained like this: wild." in recommend(
        [standing("one", 3.0, 0.1, None)], [failure]
    )
    assert recommend([], [failure]).startswith("No variant could be trained")
