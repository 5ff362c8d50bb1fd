"""The fast network computes the reference's function, and every row of it for itself."""

import pytest
import torch

from model.batch import pad_sentences
from model.config import ModelConfig
from model.fast_seq2seq import FastSeq2Seq
from model.forced import forced
from model.hypothesis import SearchOptions
from model.search import BeamSearch, beam_search
from model.search_events import SearchRequest
from model.seq2seq import Seq2Seq

PAD, EOS = 0, 3
VARIANTS = [
    {"cell": cell, "attention": attention, "attention_query": query}
    for cell in ("gru", "lstm", "rnn")
    for attention in ("additive", "none")
    for query in ("conditional", "previous")
]
SEPARATE = {"share_embeddings": False, "tie_output": False}
SOURCES = [(5, 6, 7, 8, 9, EOS), (4, EOS), (10, 9, 8, EOS), (6, 6, 5, 11, 4, 7, 8, 9, EOS)]


def reference(vocabulary=40, units=32, **choices):
    torch.manual_seed(5)
    config = ModelConfig(
        source_vocabulary_size=vocabulary,
        target_vocabulary_size=vocabulary,
        embedding_size=units,
        encoder_units=units,
        decoder_units=units,
        attention_units=units,
        **choices,
    )
    model = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    return model


def assert_same(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert [h.tokens for h in one] == [h.tokens for h in other]
        for mine, theirs in zip(one, other, strict=True):
            torch.testing.assert_close(mine.weights, theirs.weights, atol=tolerance, rtol=0)
            assert mine.score == pytest.approx(theirs.score, abs=1e-4)


@pytest.mark.parametrize("choices", [*VARIANTS, SEPARATE])
def test_float32_equals_the_reference(choices):
    model = reference(**choices)
    batch = pad_sentences(SOURCES, PAD)
    options = SearchOptions(beam_size=4, n_best=4, max_length=12)
    expected = beam_search(model, batch, options)
    found = beam_search(FastSeq2Seq(model, torch.float32), batch, options)
    assert_same(found, expected, 1e-5)


@pytest.mark.parametrize("choices", [*VARIANTS, SEPARATE])
def test_bfloat16_stays_close_to_the_reference(choices):
    model = reference(**choices)
    batch = pad_sentences(SOURCES, PAD)
    targets = [[7, 8, 9, EOS], [5, 5, EOS], [30, 31, 32, 33, EOS], [EOS]]
    exact = forced(model, batch, targets)
    rounded = forced(FastSeq2Seq(model, torch.bfloat16), batch, targets)
    for one, other in zip(rounded, exact, strict=True):
        torch.testing.assert_close(one.weights, other.weights, atol=5e-3, rtol=0)
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=0.03)


@pytest.mark.parametrize("units", [20, 48, 64])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.0)], ids=["f32", "bf16"]
)
@pytest.mark.parametrize("choices", VARIANTS)
def test_company_changes_nothing(dtype, tolerance, choices, units):
    fast = FastSeq2Seq(reference(units=units, vocabulary=200, **choices), dtype)
    mixed = [
        SearchOptions(beam_size=1, max_length=9),
        SearchOptions(beam_size=8, n_best=8, coverage_penalty=0.2, max_length=15),
        SearchOptions(beam_size=3, n_best=2, max_length=12),
        SearchOptions(beam_size=5, n_best=3, max_length=12),
    ]
    alone = [
        beam_search(fast, pad_sentences([source], PAD), options)[0]
        for source, options in zip(SOURCES, mixed, strict=True)
    ]
    table, slots, results = BeamSearch(fast), [], {}
    for source, options in zip(SOURCES, mixed, strict=True):
        slots += table.admit([SearchRequest(source, options)])
        results |= {event.slot: event.hypotheses for event in table.step()}
    while len(table):
        results |= {event.slot: event.hypotheses for event in table.step()}
    found = [results[slot] for slot in slots]
    assert_same(found, alone, tolerance)
    if tolerance == 0.0:
        for one, other in zip(found, alone, strict=True):
            assert [h.token_log_probs for h in one] == [h.token_log_probs for h in other]


def test_a_state_beyond_all_bounds_attends_to_what_is_there():
    fast = FastSeq2Seq(reference(units=64, vocabulary=200), torch.bfloat16)
    batch = pad_sentences(SOURCES, PAD)
    memory, state = fast.encode(batch.ids, batch.lengths)
    longer = pad_sentences([(*range(5, 45), EOS)], PAD)
    other, last = fast.encode(longer.ids, longer.lengths)
    memory = other.join(memory).select(torch.arange(5))
    states = torch.cat([last, state])
    step = fast.step(torch.full((5,), 7), torch.full_like(states, 1e5), memory)
    for weights, source in zip(step.weights[1:], SOURCES, strict=True):
        assert weights[: len(source)].sum().item() == pytest.approx(1.0)
    assert torch.isfinite(step.logits).all()


@pytest.mark.parametrize("units", [20, 64])
@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_a_sentence_is_read_alone_as_in_company_to_the_last_bit(cell, units):
    fast = FastSeq2Seq(reference(units=units, vocabulary=200, cell=cell), torch.bfloat16)
    sources = [*SOURCES, (*range(5, 45), EOS), (*range(20, 60), 7, EOS)]
    batch = pad_sentences(sources, PAD)
    together, states = fast.encode(batch.ids, batch.lengths)
    for index, source in enumerate(sources):
        batch = pad_sentences([source], PAD)
        alone, state = fast.encode(batch.ids, batch.lengths)
        assert torch.equal(state[0], states[index])
        mine, theirs = (
            (one.shelf.memory.keys[one.place], one.shelf.memory.values[one.place])
            for one in (alone.locations[0], together.locations[index])
        )
        for part, other in zip(mine, theirs, strict=True):
            assert torch.equal(part[: len(source)], other[: len(source)])


def test_the_search_and_a_given_target_agree_in_bfloat16():
    fast = FastSeq2Seq(reference(units=64, vocabulary=200), torch.bfloat16)
    for source in SOURCES:
        [found] = beam_search(fast, pad_sentences([source], PAD), SearchOptions(max_length=9))[0]
        table = BeamSearch(fast)
        table.admit([SearchRequest(source, SearchOptions(), target=found.tokens)])
        followed = []
        while len(table):
            followed += [one for event in table.step() for one in event.hypotheses]
        assert followed[0].token_log_probs == pytest.approx(found.token_log_probs, abs=1e-4)


def test_later_training_does_not_reach_it():
    model = reference()
    batch = pad_sentences(SOURCES, PAD)
    fast = FastSeq2Seq(model, torch.float32)
    before = beam_search(fast, batch, SearchOptions(max_length=8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert_same(beam_search(fast, batch, SearchOptions(max_length=8)), before, 0.0)
