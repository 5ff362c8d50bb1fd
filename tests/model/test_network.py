"""The reference network against the equations it claims to follow."""

import pytest
import torch
from torch import nn

from model.attention import AdditiveAttention
from model.batch import pad_sentences
from model.cell import GRUCell, LSTMCell, TanhCell
from model.config import ModelConfig
from model.encoder import Encoder
from model.seq2seq import Seq2Seq

VARIANTS = [
    {"cell": cell, "attention": attention, "attention_query": query}
    for cell in ("gru", "lstm", "rnn")
    for attention in ("additive", "none")
    for query in ("conditional", "previous")
]
SENTENCES = [[5, 6, 7, 8, 9, 3], [4, 3], [10, 9, 8, 3]]
TARGETS = [[6, 5, 3], [9, 8, 7, 6, 3], [4, 3]]


def tiny_config(**choices):
    sizes = {"embedding_size": 6, "encoder_units": 5, "decoder_units": 7, "attention_units": 4}
    return ModelConfig(source_vocabulary_size=12, target_vocabulary_size=12, **sizes, **choices)


def tiny(**choices):
    torch.manual_seed(3)
    return Seq2Seq(tiny_config(**choices)).eval()


def teacher_inputs(targets):
    return pad_sentences([[2, *target[:-1]] for target in targets], pad_id=0).ids


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(TanhCell, nn.RNNCell), (GRUCell, nn.GRUCell), (LSTMCell, nn.LSTMCell)],
)
def test_cell_equals_the_library_cell(ours, theirs):
    torch.manual_seed(1)
    cell, reference = ours(3, 4), theirs(3, 4)
    reference.weight_ih.data.copy_(cell.input.weight)
    reference.weight_hh.data.copy_(cell.recurrent.weight)
    reference.bias_ih.data.copy_(cell.input.bias)
    reference.bias_hh.data.copy_(cell.recurrent.bias)
    inputs, state = torch.randn(5, 3), torch.randn(5, cell.state_size)
    expected = (
        torch.cat(reference(inputs, (state[:, :4], state[:, 4:])), dim=1)
        if cell.state_count == 2
        else reference(inputs, state)
    )
    torch.testing.assert_close(cell(cell.project(inputs), state), expected)


def loop_of_equations(cell, inputs):
    """The textbook's equations, one sentence, one position and one gate at a time."""
    hidden, memory = torch.zeros(cell.units), torch.zeros(cell.units)
    gates = list(
        zip(
            cell.input.weight.chunk(cell.gate_count),
            cell.input.bias.chunk(cell.gate_count),
            cell.recurrent.weight.chunk(cell.gate_count),
            cell.recurrent.bias.chunk(cell.gate_count),
            strict=True,
        )
    )
    outputs = []
    for x in inputs:
        parts = [(w @ x + b, u @ hidden + c) for w, b, u, c in gates]
        if isinstance(cell, GRUCell):
            reset = torch.sigmoid(sum(parts[0]))
            update = torch.sigmoid(sum(parts[1]))
            candidate = torch.tanh(parts[2][0] + reset * parts[2][1])
            hidden = (1 - update) * candidate + update * hidden
        elif isinstance(cell, LSTMCell):
            write, keep, emit = (torch.sigmoid(sum(parts[gate])) for gate in (0, 1, 3))
            memory = keep * memory + write * torch.tanh(sum(parts[2]))
            hidden = emit * torch.tanh(memory)
        else:
            hidden = torch.tanh(sum(parts[0]))
        outputs.append(hidden)
    return torch.stack(outputs)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_encoder_equals_a_loop_over_the_equations(cell):
    torch.manual_seed(2)
    encoder = Encoder(tiny_config(cell=cell))
    lengths = torch.tensor([4, 2])
    embedded = torch.randn(2, 4, 6)
    annotations = encoder(embedded, lengths)
    for row, length in enumerate(lengths.tolist()):
        sentence = embedded[row, :length]
        ahead = loop_of_equations(encoder.forward_cell, sentence)
        back = loop_of_equations(encoder.backward_cell, sentence.flip(0)).flip(0)
        torch.testing.assert_close(annotations[row, :length], torch.cat([ahead, back], dim=-1))
        assert not annotations[row, length:].any()


def test_encoder_equals_packed_sequences():
    torch.manual_seed(2)
    encoder = Encoder(tiny_config())
    library = nn.GRU(6, 5, batch_first=True, bidirectional=True)
    for suffix, cell in (("", encoder.forward_cell), ("_reverse", encoder.backward_cell)):
        getattr(library, f"weight_ih_l0{suffix}").data.copy_(cell.input.weight)
        getattr(library, f"weight_hh_l0{suffix}").data.copy_(cell.recurrent.weight)
        getattr(library, f"bias_ih_l0{suffix}").data.copy_(cell.input.bias)
        getattr(library, f"bias_hh_l0{suffix}").data.copy_(cell.recurrent.bias)
    embedded, lengths = torch.randn(3, 7, 6), torch.tensor([3, 7, 1])
    packed = nn.utils.rnn.pack_padded_sequence(
        embedded, lengths, batch_first=True, enforce_sorted=False
    )
    expected, _ = nn.utils.rnn.pad_packed_sequence(library(packed)[0], batch_first=True)
    torch.testing.assert_close(encoder(embedded, lengths), expected)


def test_attention_weights_equal_the_formula():
    torch.manual_seed(4)
    attention = AdditiveAttention(state_size=3, annotation_size=4, units=5)
    state, annotations = torch.randn(2, 3), torch.randn(2, 6, 4)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    weights = attention(state, attention.keys(annotations), mask)
    for row in range(2):
        energies = []
        for position in range(int(mask[row].sum())):
            hidden = torch.tanh(
                attention.query.weight @ state[row]
                + attention.query.bias
                + attention.key.weight @ annotations[row, position]
            )
            energies.append(attention.energy.weight[0] @ hidden)
        expected = torch.stack(energies).exp()
        torch.testing.assert_close(weights[row, mask[row]], expected / expected.sum())
    assert not weights[1, 2:].any()
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2))


@pytest.mark.parametrize("choices", VARIANTS)
def test_teacher_forcing_equals_repeated_steps(choices):
    model = tiny(**choices)
    source, inputs = pad_sentences(SENTENCES, pad_id=0), teacher_inputs(TARGETS)
    forced = model(source.ids, source.lengths, inputs)
    memory, state = model.encode(source.ids, source.lengths)
    for position in range(inputs.shape[1]):
        step = model.step(inputs[:, position], state, memory)
        state = step.state
        torch.testing.assert_close(step.logits, forced.logits[:, position])
        torch.testing.assert_close(step.weights, forced.weights[:, position])


@pytest.mark.parametrize("choices", VARIANTS)
def test_sentence_alone_equals_the_sentence_in_a_batch(choices):
    model = tiny(**choices)
    source, inputs = pad_sentences(SENTENCES, pad_id=0), teacher_inputs(TARGETS)
    together = model(source.ids, source.lengths, inputs)
    for row, (sentence, target) in enumerate(zip(SENTENCES, TARGETS, strict=True)):
        single = pad_sentences([sentence], pad_id=0)
        alone = model(single.ids, single.lengths, teacher_inputs([target]))
        steps, columns = len(target), alone.weights.shape[2]
        torch.testing.assert_close(together.logits[row, :steps], alone.logits[0])
        torch.testing.assert_close(
            together.weights[row, :steps, :columns], alone.weights[0], atol=1e-5, rtol=0
        )
        assert not together.weights[row, :, columns:].any()


def test_gradients_reach_only_real_tokens():
    model = tiny(share_embeddings=False)
    source, inputs = pad_sentences(SENTENCES, pad_id=0), teacher_inputs(TARGETS)
    seen = []

    def keep(_module, _inputs, output):
        seen.append(output)

    model.source_embedding.register_forward_hook(keep)
    forced = model(source.ids, source.lengths, inputs)
    (gradient,) = torch.autograd.grad(forced.logits.sum(), seen)
    padding = source.ids == 0
    assert not gradient[padding].any()
    assert gradient[~padding].any(dim=-1).all()


def test_memory_of_selected_rows_is_a_copy_in_that_order():
    model = tiny()
    source = pad_sentences(SENTENCES, pad_id=0)
    memory, _ = model.encode(source.ids, source.lengths)
    chosen = memory.select(torch.tensor([2, 2, 0]))
    torch.testing.assert_close(chosen.keys[1], memory.keys[2])
    torch.testing.assert_close(chosen.mask[2], memory.mask[0])


def test_network_without_attention_shows_no_weights():
    model = tiny(attention="none")
    source, inputs = pad_sentences(SENTENCES, pad_id=0), teacher_inputs(TARGETS)
    assert model(source.ids, source.lengths, inputs).weights.shape == (3, 5, 0)


def test_empty_sentence_is_refused_by_its_place():
    with pytest.raises(ValueError, match="sentence 1 of the batch is empty"):
        pad_sentences([[3], []], pad_id=0)
    with pytest.raises(ValueError, match="at least one sentence"):
        pad_sentences([], pad_id=0)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"cell": "qrnn"}, "cell is 'qrnn'; it must be one of gru, lstm, rnn"),
        ({"decoder_units": 0}, "decoder_units is 0"),
        ({"decoder_units": "512"}, "decoder_units is '512'; it must be of type int"),
        ({"pad_id": False}, "pad_id is False; it must be of type int"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"source_vocabulary_size": 11}, "share_embeddings needs one joint vocabulary"),
        ({"eos_id": 2}, "they must differ"),
        ({"units": 3}, r"unknown fields: \['units'\]"),
    ],
)
def test_configuration_names_the_wrong_field(choices, message):
    values = {"source_vocabulary_size": 12, "target_vocabulary_size": 12} | choices
    with pytest.raises(ValueError, match=message):
        ModelConfig.from_dict(values)


def test_configuration_names_the_missing_field():
    with pytest.raises(ValueError, match=r"missing fields: \['target_vocabulary_size'\]"):
        ModelConfig.from_dict({"source_vocabulary_size": 12})
