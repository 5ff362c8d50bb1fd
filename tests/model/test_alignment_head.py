"""The alignment head: its equations, and the same weights however a hypothesis came about."""

import math

import pytest
import torch

from model.alignment_head import AlignmentHead, HeadConfig, head_weights, read_along
from model.batch import SentenceBatch, pad_sentences
from model.config import ModelConfig
from model.fast_seq2seq import FastSeq2Seq
from model.forced import forced
from model.hypothesis import SearchOptions
from model.search import BeamSearch, beam_search
from model.search_events import Finished, Progress, SearchRequest
from model.seq2seq import Seq2Seq

PAD, BOS, EOS = 0, 2, 3
SOURCES = [(5, 6, 7, 8, 9, EOS), (4, EOS), (10, 9, 8, EOS), (6, 6, 5, 11, 4, 7, 8, 9, EOS)]
VARIANTS = [
    {"cell": cell, "attention_query": query}
    for cell in ("gru", "lstm", "rnn")
    for query in ("conditional", "previous")
]


def translator(refinement_channels=3, **choices):
    torch.manual_seed(5)
    config = ModelConfig(
        source_vocabulary_size=40,
        target_vocabulary_size=40,
        embedding_size=12,
        encoder_units=14,
        decoder_units=16,
        attention_units=10,
        **choices,
    )
    model = Seq2Seq(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    torch.manual_seed(6)
    head = AlignmentHead(config, 8, refinement_channels).eval()
    if head.refinement is not None:
        torch.nn.init.normal_(head.refinement.outer.weight)
    return model, head


def with_head(dtype=torch.float32, **choices):
    model, head = translator(**choices)
    return FastSeq2Seq(model, dtype, head)


def reference_weights(model, head, source, target):
    """The head's weights of one target under teacher forcing."""
    batch = pad_sentences([source], PAD)
    targets = torch.tensor([target])
    reading = read_along(model, batch, torch.cat([torch.tensor([[BOS]]), targets[:, :-1]], 1))
    return head_weights(model, head, reading, batch.ids, targets).detach()[0]


def translate(network, sources, options):
    table = BeamSearch(network)
    slots = table.admit([SearchRequest(source, options, head=True) for source in sources])
    found = {}
    while len(table):
        found |= {event.slot: event.hypotheses for event in table.step()}
    return [found[slot] for slot in slots]


def test_weights_are_those_of_the_equations():
    model, head = translator(refinement_channels=0)
    source, target = SOURCES[0], [7, 8, EOS]
    found = reference_weights(model, head, source, target)
    with torch.no_grad():
        batch = pad_sentences([source], PAD)
        memory, state = model.encode(batch.ids, batch.lengths)
        target_embedding, source_embedding = (
            table.weight * 12**0.5 for table in (model.target_embedding, model.source_embedding)
        )
        last, rows = BOS, []
        for index, token in enumerate(target):
            step = model.step(torch.tensor([last]), state, memory)
            state, last = step.state, token
            read = model.decoder.cell(model.decoder.cell.project(target_embedding[[token]]), state)[
                0
            ]
            query = head.state(read) + head.token(target_embedding[token])
            if index + 1 < len(target):
                query = query + head.next_token(target_embedding[target[index + 1]])
            energies = []
            for position, word in enumerate(source):
                key = head.annotation(memory.annotations[0, position])
                key = key + head.source_token(source_embedding[word])
                energy = query @ key / math.sqrt(8)
                attention = step.weights[0, position]
                energies.append(energy + head.attention_weight * (attention + 1e-4).log())
            rows.append(torch.softmax(torch.stack(energies), 0))
    torch.testing.assert_close(found, torch.stack(rows), atol=1e-6, rtol=0)


def test_a_refinement_changes_the_energies_and_so_the_weights():
    model, head = translator()
    refined = reference_weights(model, head, SOURCES[0], [7, 8, EOS])
    with torch.no_grad():
        head.refinement.outer.weight.zero_()
    plain = reference_weights(model, head, SOURCES[0], [7, 8, EOS])
    head.refinement = None
    torch.testing.assert_close(reference_weights(model, head, SOURCES[0], [7, 8, EOS]), plain)
    assert (refined - plain).abs().max() > 0.01


def test_a_refinement_is_not_rounded_where_other_products_are():
    model, head = translator()
    seen = []
    head.refinement.first.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    head.state.register_forward_hook(lambda _, __, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        reference_weights(model, head, SOURCES[0], [7, 8, EOS])
    assert seen == [torch.bfloat16, torch.float32]


def test_a_served_head_does_not_follow_later_training():
    model, head = translator()
    network = FastSeq2Seq(model, torch.float32, head)
    batch, target = pad_sentences(SOURCES[:1], PAD), [(7, 8, EOS)]
    [before] = forced(network, batch, target, head=True)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(1.0)
    [after] = forced(network, batch, target, head=True)
    torch.testing.assert_close(after.head_weights, before.head_weights, atol=0, rtol=0)


@pytest.mark.parametrize(
    "choices",
    [*VARIANTS, {"share_embeddings": False, "tie_output": False}, {"refinement_channels": 0}],
)
def test_the_served_head_equals_the_reference(choices):
    model, head = translator(**choices)
    targets = [(7, 8, 9, EOS), (5, 5, EOS), (30, 31, 32, 33, EOS), (EOS,)]
    found = forced(
        FastSeq2Seq(model, torch.float32, head), pad_sentences(SOURCES, PAD), targets, head=True
    )
    for source, target, hypothesis in zip(SOURCES, targets, found, strict=True):
        expected = reference_weights(model, head, source, target)
        torch.testing.assert_close(hypothesis.head_weights, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("choices", VARIANTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_follow_the_beam_and_sum_to_one(choices, dtype):
    network = with_head(dtype, **choices)
    options = SearchOptions(beam_size=4, n_best=4, max_length=12)
    for source, hypotheses in zip(SOURCES, translate(network, SOURCES, options), strict=True):
        for one in hypotheses:
            assert one.head_weights.shape == (len(one.tokens), len(source))
            ones = torch.ones(len(one.tokens))
            torch.testing.assert_close(one.head_weights.sum(1), ones, atol=1e-4, rtol=0)
            [again] = forced(network, pad_sentences([source], PAD), [one.tokens], head=True)
            torch.testing.assert_close(one.head_weights, again.head_weights, atol=1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_company_changes_nothing(dtype):
    network = with_head(dtype)
    options = SearchOptions(beam_size=3, n_best=2, max_length=10)
    alone = [translate(network, [source], options)[0] for source in SOURCES]
    table, slots, found = BeamSearch(network), [], {}
    for source in SOURCES:
        slots += table.admit(
            [
                SearchRequest(source, options, head=True),
                SearchRequest(source[1:], SearchOptions(max_length=4)),
            ]
        )
        found |= {event.slot: event.hypotheses for event in table.step()}
    while len(table):
        found |= {event.slot: event.hypotheses for event in table.step()}
    for expected, with_head_slot, without in zip(alone, slots[::2], slots[1::2], strict=True):
        for one, other in zip(found[with_head_slot], expected, strict=True):
            assert one.tokens == other.tokens
            torch.testing.assert_close(one.head_weights, other.head_weights, atol=1e-5, rtol=0)
        assert all(one.head_weights is None for one in found[without])


def test_a_head_changes_no_translation():
    model, head = translator()
    batch, options = pad_sentences(SOURCES, PAD), SearchOptions(beam_size=4, n_best=2)
    plain = beam_search(FastSeq2Seq(model, torch.float32), batch, options)
    headed = translate(FastSeq2Seq(model, torch.float32, head), SOURCES, options)
    for one, other in zip(plain, headed, strict=True):
        assert [h.tokens for h in one] == [h.tokens for h in other]
        assert [h.token_log_probs for h in one] == [h.token_log_probs for h in other]


@pytest.mark.parametrize("refinement_channels", [0, 3])
def test_a_streamed_row_is_final_but_for_the_refinement_one_step_after_its_token(
    refinement_channels,
):
    model, head = translator(refinement_channels)
    source, table = SOURCES[0], BeamSearch(FastSeq2Seq(model, torch.float32, head))
    options = SearchOptions(beam_size=1, max_length=8)
    table.admit([SearchRequest(source, options, stream=True, head=True)])
    streamed, tokens = [], ()
    while len(table):
        for event in table.step():
            match event:
                case Progress(best=best):
                    streamed.append(best.head_weights)
                case Finished(hypotheses=[best]):
                    tokens = best.tokens
    head.refinement = None
    final = reference_weights(model, head, source, tokens)
    assert len(streamed) >= 2
    for seen in streamed:
        settled = len(seen) - 1
        torch.testing.assert_close(seen[:settled], final[:settled], atol=1e-5, rtol=0)


def test_states_survive_when_the_trellis_forgets(monkeypatch):
    monkeypatch.setattr("model.trellis.CAPACITY", 8)
    network = with_head()
    options = SearchOptions(beam_size=4, n_best=4, max_length=30)
    for source, hypotheses in zip(SOURCES, translate(network, SOURCES, options), strict=True):
        for one in hypotheses:
            [again] = forced(network, pad_sentences([source], PAD), [one.tokens], head=True)
            torch.testing.assert_close(one.head_weights, again.head_weights, atol=1e-4, rtol=0)


def test_a_network_without_head_says_so():
    model, _ = translator()
    batch = SentenceBatch(torch.tensor([[4, EOS]]), torch.tensor([2]))
    for network in (model, FastSeq2Seq(model)):
        with pytest.raises(ValueError, match="no alignment head"):
            BeamSearch(network).admit([SearchRequest((4, EOS), head=True)])
        with pytest.raises(ValueError, match="no alignment head"):
            forced(network, batch, [(5, EOS)], head=True)


def test_a_network_without_attention_can_have_no_head():
    config = ModelConfig(source_vocabulary_size=40, target_vocabulary_size=40, attention="none")
    with pytest.raises(ValueError, match='attention is "none"'):
        AlignmentHead(config, units=8)


@pytest.mark.parametrize(
    ("values", "named"),
    [({"units": 0}, "units is 0"), ({"threshold": 0.0}, "threshold"), ({"threshold": 1.5}, "1.5")],
)
def test_a_wrong_configuration_names_its_field(values, named):
    with pytest.raises(ValueError, match=named):
        HeadConfig(**{"units": 8, "threshold": 0.4, **values})
