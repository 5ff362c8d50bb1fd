"""The search against exhaustive enumeration, against teacher forcing, and in mixed company."""

import codecs
from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch

from model.batch import pad_sentences
from model.config import ModelConfig
from model.decoder import Step
from model.forced import forced
from model.hypothesis import SearchOptions
from model.repetition import most_repeated
from model.search import BeamSearch, beam_search
from model.search_events import Failed, Finished, Progress, SearchRequest
from model.seq2seq import Seq2Seq
from model.spelling import OTHER, Spelling

PAD, UNK, BOS, EOS = range(4)
VARIANTS = [
    {"cell": cell, "attention": attention, "attention_query": query}
    for cell in ("gru", "lstm", "rnn")
    for attention in ("additive", "none")
    for query in ("conditional", "previous")
]
SOURCES = [(5, 6, 7, 8, 9, EOS), (4, EOS), (10, 9, 8, EOS), (6, 6, 5, 11, 4, 7, 8, 9, EOS)]
MIXED = [
    SearchOptions(beam_size=1, max_length=9),
    SearchOptions(beam_size=8, n_best=8, length_penalty=0.6, coverage_penalty=0.2),
    SearchOptions(beam_size=3, n_best=2, length_penalty=0.0),
    SearchOptions(beam_size=5, n_best=3, max_length=12, no_repeat_ngram_size=2),
]


def network(vocabulary=12, **choices):
    """A random network sharp enough that its hypotheses differ and end at different lengths."""
    torch.manual_seed(5)
    config = ModelConfig(
        source_vocabulary_size=vocabulary,
        target_vocabulary_size=vocabulary,
        embedding_size=8,
        encoder_units=6,
        decoder_units=7,
        attention_units=5,
        **choices,
    )
    model = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


def alone(model, source, options):
    return beam_search(model, pad_sentences([source], PAD), options)[0]


def run(table):
    """Step until empty; the hypotheses of each slot."""
    results = {}
    while len(table):
        results |= {event.slot: event.hypotheses for event in table.step()}
    return results


def run_some(table, steps):
    """Make so many steps; the hypotheses of the slots that ended in them."""
    ended = [event for _ in range(steps) for event in table.step()]
    return {event.slot: event.hypotheses for event in ended}


def assert_same(found, expected):
    assert [hypothesis.tokens for hypothesis in found] == [
        hypothesis.tokens for hypothesis in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.finished == other.finished
        assert one.score == pytest.approx(other.score, abs=1e-4)
        torch.testing.assert_close(one.weights, other.weights, atol=1e-5, rtol=0)


def every_target(words, longest):
    for length in range(longest):
        for beginning in product(words, repeat=length):
            yield (*beginning, EOS)


@pytest.mark.parametrize("n_best", [3, 40])
def test_wide_beam_equals_exhaustive_enumeration(n_best):
    model = network(vocabulary=7)
    source = (4, 6, 5, EOS)
    options = SearchOptions(
        beam_size=200, n_best=n_best, length_penalty=0.7, coverage_penalty=0.1, max_length=4
    )
    targets = list(every_target(words=(4, 5, 6), longest=4))
    assert len(targets) == 40
    batch = pad_sentences([source] * len(targets), PAD)
    expected = sorted(forced(model, batch, targets, options), key=lambda one: -one.score)
    assert_same(alone(model, source, options), expected[:n_best])


def has_repetition(tokens, size, limit):
    runs = Counter(tokens[first : first + size] for first in range(len(tokens) - size + 1))
    return max(runs.values(), default=0) > limit


def test_wide_beam_equals_enumeration_of_all_that_repeats_nothing():
    model = network(vocabulary=6)
    source = (4, 5, 5, EOS)
    options = SearchOptions(beam_size=200, n_best=10, no_repeat_ngram_size=2, max_length=6)
    targets = [
        target
        for target in every_target(words=(4, 5), longest=6)
        if not has_repetition(target, 2, limit=1)
    ]
    assert len(targets) == 25  # of 63
    batch = pad_sentences([source] * len(targets), PAD)
    expected = sorted(forced(model, batch, targets, options), key=lambda one: -one.score)
    assert_same(alone(model, source, options), expected[:10])


def circling():
    """A network that never ends by itself, and goes round in circles."""
    model = network()
    with torch.no_grad():
        model.output.bias[EOS] = -50.0
    return model


@pytest.mark.parametrize("beam_size", [1, 4])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_runs_come_again_only_as_often_as_the_source_repeats_itself(size, beam_size):
    model = circling()
    repeated = 0
    for source in [*SOURCES, (5, 6, 5, 6, 5, 6, EOS)]:
        options = SearchOptions(beam_size=beam_size, no_repeat_ngram_size=size, max_length=40)
        [best] = alone(model, source, options)
        assert not has_repetition(best.tokens, size, most_repeated(source))
        [free] = alone(model, source, replace(options, no_repeat_ngram_size=0))
        repeated += has_repetition(free.tokens, size, most_repeated(source))
    assert repeated  # by itself it does


def test_bytes_spell_characters():
    """Pieces 4 to 11 are the bytes of `é` and `€`, two that spell nothing, and two words."""
    model = network()
    values = [OTHER] * 4 + [0xC3, 0xA9, 0xE2, 0x82, 0xAC, 0xFF, OTHER, OTHER]
    options = SearchOptions(beam_size=4, n_best=4, max_length=30, no_repeat_ngram_size=0)

    def spelt(tokens):
        return bytes(0x20 if values[token] == OTHER else values[token] for token in tokens)

    def is_text(hypothesis):
        decoder = codecs.getincrementaldecoder("utf-8")("strict")
        try:  # one that is cut off may be so within a character
            decoder.decode(spelt(hypothesis.tokens), final=hypothesis.finished)
        except UnicodeDecodeError:
            return False
        return True

    def searched():
        return [one for source in SOURCES for one in alone(model, source, options)]

    assert not all(map(is_text, searched()))
    model.spelling = Spelling(np.array(values))
    found = searched()
    assert all(map(is_text, found))
    assert any("é".encode() in spelt(one.tokens) for one in found)


@pytest.mark.parametrize("choices", VARIANTS)
def test_every_hypothesis_equals_its_teacher_forced_pass(choices):
    model = network(**choices)
    batch = pad_sentences(SOURCES, PAD)
    options = SearchOptions(beam_size=4, n_best=4, coverage_penalty=0.2)
    found = beam_search(model, batch, options)
    for rank in range(4):
        ranked = [hypotheses[rank] for hypotheses in found]
        again = forced(model, batch, [hypothesis.tokens for hypothesis in ranked], options)
        for one, other, source in zip(ranked, again, SOURCES, strict=True):
            columns = 0 if choices["attention"] == "none" else len(source)
            assert one.weights.shape == (len(one.tokens), columns)
            torch.testing.assert_close(one.weights, other.weights, atol=1e-4, rtol=0)
            assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-4)
            assert one.score == pytest.approx(other.score, abs=1e-4)
            assert one.finished == other.finished


def test_forced_steps_equal_the_forward_pass_of_the_network():
    model = network()
    batch = pad_sentences(SOURCES, PAD)
    targets = [(6, 5, EOS), (9, 8, 7, 6, EOS), (4, EOS), (4, 5)]
    inputs = pad_sentences([[BOS, *target[:-1]] for target in targets], PAD).ids
    with torch.no_grad():
        whole = model(batch.ids, batch.lengths, inputs)
    log_probs = whole.logits.log_softmax(dim=-1)
    for index, hypothesis in enumerate(forced(model, batch, targets)):
        rows = torch.arange(len(targets[index]))
        expected = log_probs[index, rows, torch.tensor(targets[index])].tolist()
        assert hypothesis.token_log_probs == pytest.approx(expected, abs=1e-5)
        width = len(SOURCES[index])
        expected_weights = whole.weights[index, : len(rows), :width]
        torch.testing.assert_close(hypothesis.weights, expected_weights, atol=1e-5, rtol=0)


@pytest.mark.parametrize("choices", VARIANTS)
def test_company_does_not_change_a_sentence(choices):
    model = network(**choices)
    expected = [alone(model, *pair) for pair in zip(SOURCES, MIXED, strict=True)]
    table = BeamSearch(model)
    slots = table.admit([SearchRequest(*pair) for pair in zip(SOURCES, MIXED, strict=True)])
    results = run(table)
    for slot, hypotheses in zip(slots, expected, strict=True):
        assert_same(results[slot], hypotheses)


@pytest.mark.parametrize("choices", VARIANTS)
def test_sentences_that_join_late_get_the_same_result(choices):
    model = network(**choices)
    table, slots, results = BeamSearch(model), [], {}
    for source, options in zip(SOURCES, MIXED, strict=True):
        slots += table.admit([SearchRequest(source, options)])
        for _ in range(2):
            results |= {event.slot: event.hypotheses for event in table.step()}
    results |= run(table)
    for slot, source, options in zip(slots, SOURCES, MIXED, strict=True):
        assert_same(results[slot], alone(model, source, options))


def test_greedy_takes_the_most_probable_token_at_every_step():
    model = network()
    batch = pad_sentences(SOURCES[:1], PAD)
    [greedy] = alone(model, SOURCES[0], SearchOptions(beam_size=1, max_length=6))
    tokens = [BOS]
    with torch.no_grad():
        for _ in greedy.tokens:
            logits = model(batch.ids, batch.lengths, torch.tensor([tokens])).logits[0, -1]
            logits[[PAD, UNK, BOS]] = -torch.inf
            tokens.append(int(logits.argmax()))
    assert greedy.tokens == tuple(tokens[1:])


def test_pad_bos_and_unk_are_never_produced():
    model = network()
    with torch.no_grad():
        model.output.bias[[PAD, UNK, BOS]] = 9.0
    hypotheses = alone(model, SOURCES[0], SearchOptions(beam_size=8, n_best=8, max_length=10))
    for hypothesis in hypotheses:
        assert not {PAD, UNK, BOS} & set(hypothesis.tokens)
        assert max(hypothesis.token_log_probs) < -1.0


def test_a_hypothesis_cut_by_the_limit_says_so_and_stands_last():
    model = network()
    with torch.no_grad():
        model.output.bias[EOS] = -2.0
    options = SearchOptions(beam_size=4, n_best=4, max_length=3)
    hypotheses = alone(model, SOURCES[0], options)
    assert all(len(hypothesis.tokens) <= 3 for hypothesis in hypotheses)
    finished = [hypothesis.finished for hypothesis in hypotheses]
    assert not finished[-1]
    assert finished == sorted(finished, reverse=True)
    assert finished == [hypothesis.tokens[-1] == EOS for hypothesis in hypotheses]


def test_cancelling_frees_rows_at_once_and_leaves_the_others_alone():
    model = network()
    table = BeamSearch(model)
    options = SearchOptions(beam_size=5)
    first, second = table.admit([SearchRequest(source, options) for source in SOURCES[:2]])
    table.step()
    rows = table.rows
    assert table.cancel(first)
    assert len(table) == 1
    assert table.rows < rows
    assert not table.cancel(first)
    assert_same(run(table)[second], alone(model, SOURCES[1], options))
    assert table.rows == 0
    assert table.step() == []


def test_a_sentence_without_probabilities_fails_alone():
    model = network()

    class Poisoned:
        """Gives no number for a sentence of two source tokens."""

        config, spelling = model.config, model.spelling
        encode = staticmethod(model.encode)

        @staticmethod
        def step(inputs, state, memory):
            step = model.step(inputs, state, memory)
            poisoned = (memory.mask.sum(dim=1) == 2)[:, None]
            return Step(step.logits.masked_fill(poisoned, torch.nan), step.state, step.weights)

    table = BeamSearch(Poisoned())
    slots = table.admit([SearchRequest(source) for source in SOURCES[:3]])
    events = table.step()
    assert [event.slot for event in events if isinstance(event, Failed)] == [slots[1]]
    results = run(table)
    assert set(results) == {slots[0], slots[2]}
    assert_same(results[slots[2]], alone(model, SOURCES[2], SearchOptions()))


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_stable_prefix_is_never_revised(beam_size):
    model = network()
    options = SearchOptions(beam_size=beam_size)
    table = BeamSearch(model)
    [slot] = table.admit([SearchRequest(SOURCES[3], options, stream=True)])
    settled, lengths, final = [], [], None
    while final is None:
        for event in table.step():
            assert event.slot == slot
            if isinstance(event, Progress):
                assert event.best.tokens[: len(settled)] == tuple(settled)
                settled = list(event.best.tokens[: event.stable])
                lengths.append(len(event.best.tokens))
            if isinstance(event, Finished):
                final = event.hypotheses[0]
    assert final.tokens[: len(settled)] == tuple(settled)
    assert lengths == list(range(1, len(lengths) + 1))
    assert settled
    if beam_size == 1:
        assert len(settled) == len(final.tokens) - 1
    assert_same([final], alone(model, SOURCES[3], options))


def test_only_streamed_sentences_report_progress():
    table = BeamSearch(network())
    slots = table.admit([SearchRequest(source, stream=source[0] == 5) for source in SOURCES])
    assert [event.slot for event in table.step()] == slots[:1]


def test_a_long_search_forgets_what_nothing_leads_back_to(monkeypatch):
    monkeypatch.setattr("model.trellis.CAPACITY", 32)
    model = network()
    with torch.no_grad():
        model.output.bias[EOS] = -9.0
    options, brief = SearchOptions(beam_size=4, max_length=60), SearchOptions(max_length=10)
    table = BeamSearch(model)
    [slot] = table.admit([SearchRequest(SOURCES[0], options)])
    late, results, most = [], {}, 0
    for step in range(66):
        if step % 10 == 5 and step < 60:
            late += table.admit([SearchRequest(SOURCES[1], brief)])
        results |= {event.slot: event.hypotheses for event in table.step()}
        most = max(most, table.stored_nodes)
    # 240 nodes were made for the long sentence and 50 for each of its six short neighbours; what
    # is still needed, and at most twice that is held, is less.
    assert 60 < most < 400
    expected = alone(model, SOURCES[1], brief)
    assert_same(results[slot], alone(model, SOURCES[0], options))
    assert len(late) == 6
    for neighbour in late:
        assert_same(results[neighbour], expected)


TARGETS = [(7, 4, 4, EOS), (EOS,), (11, 10, 9, 8, 7, 6, 5, EOS), (5, EOS)]


@pytest.mark.parametrize("choices", VARIANTS)
def test_a_given_target_is_followed_as_teacher_forcing_does(choices):
    model = network(**choices)
    expected = forced(model, pad_sentences(SOURCES, PAD), TARGETS)
    table = BeamSearch(model)
    options = SearchOptions(beam_size=1)
    slots = table.admit(
        [
            SearchRequest(source, options, target=target)
            for source, target in zip(SOURCES, TARGETS, strict=True)
        ]
    )
    results = run(table)
    for slot, hypothesis in zip(slots, expected, strict=True):
        assert_same(results[slot], [hypothesis])
        assert results[slot][0].token_log_probs == pytest.approx(
            hypothesis.token_log_probs, abs=1e-5
        )


def test_a_given_target_is_followed_in_the_company_of_searches_that_it_does_not_touch():
    model = network()
    searches = [
        SearchRequest(source, options) for source, options in zip(SOURCES, MIXED, strict=True)
    ]
    followed = [
        SearchRequest(source, SearchOptions(beam_size=1), target=target)
        for source, target in zip(SOURCES, TARGETS, strict=True)
    ]
    table = BeamSearch(model)
    mixed = [one for pair in zip(searches, followed, strict=True) for one in pair]
    slots = table.admit(mixed[:5])
    results = run_some(table, steps=2)
    slots += table.admit(mixed[5:])
    results |= run(table)
    for slot, request in zip(slots, mixed, strict=True):
        lonely = BeamSearch(model)
        [own] = lonely.admit([request])
        assert_same(results[slot], run(lonely)[own])


def test_following_what_the_search_found_gives_its_own_weights_and_log_probability():
    model = network()
    for source, options in zip(SOURCES, MIXED, strict=True):
        for found in alone(model, source, options):
            if found.finished:
                table = BeamSearch(model)
                [slot] = table.admit([SearchRequest(source, options, target=found.tokens)])
                [followed] = run(table)[slot]
                assert_same([followed], [found])
                assert followed.log_prob == pytest.approx(found.log_prob, abs=1e-4)


def test_a_target_without_its_end_is_refused():
    with pytest.raises(ValueError, match="EOS"):
        SearchRequest(SOURCES[0], target=())
