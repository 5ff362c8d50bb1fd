"""Gradients at the states against backpropagation written out by hand."""

import pytest
import torch

from model.batch import pad_sentences
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from training.batches import TrainingBatch
from training.textbook.gradient_flow import (
    Flow,
    by_distance,
    decoder_flow,
    encoder_flow,
    state_gradients,
)

SOURCES = [[5, 6, 7, 8, 3], [9, 4, 3]]
TARGETS = [[6, 5, 3], [9, 8, 7, 6, 3]]


def network(cell="rnn", attention="none", query="conditional"):
    torch.manual_seed(2)
    return Seq2Seq(
        ModelConfig(
            source_vocabulary_size=12,
            target_vocabulary_size=12,
            embedding_size=6,
            encoder_units=5,
            decoder_units=7,
            attention_units=4,
            cell=cell,
            attention=attention,
            attention_query=query,
        )
    )


def batch(sources=SOURCES, targets=TARGETS):
    source, target = pad_sentences(sources, 0), pad_sentences(targets, 0)
    inputs = pad_sentences([[2, *sentence[:-1]] for sentence in targets], 0)
    return TrainingBatch(source, inputs.ids, target.ids, target.lengths, (0, 1))


def log_likelihood(model, source, target, *, last_only=False):
    """−log p of one sentence, all by itself."""
    alone = batch([source], [target])
    logits = model(alone.source.ids, alone.source.lengths, alone.inputs).logits[0]
    losses = -logits.log_softmax(-1)[torch.arange(len(target)), torch.tensor(target)]
    return losses[-1] if last_only else losses.sum()


def test_encoder_gradients_equal_the_product_of_jacobians_written_out():
    model = network().eval()
    found = state_gradients(model, model.encoder.forward_cell, batch(), last_only=False)
    cell = model.encoder.forward_cell
    matrix = cell.recurrent.weight.detach()
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        embedded = model.embed(model.source_embedding, torch.tensor([source]))
        state, states = torch.zeros(1, 5), []
        for position in range(len(source)):
            state = torch.tanh(
                cell.input(embedded[:, position]) + state @ matrix.T + cell.recurrent.bias
            )
            state.retain_grad()
            states.append(state)
        # The last state, computed by hand, takes the place of the network's own.
        handle = cell.register_forward_hook(Replacing(len(source) - 1, states[-1]))
        log_likelihood(model, source, target).backward()
        handle.remove()
        gradient = states[-1].grad[0]
        expected = [gradient.norm()]
        for state in reversed(states[1:]):
            # ∂h_t/∂h_{t−1} = diag(1 − h_t²) U, transposed, since gradients travel back.
            gradient = ((1 - state[0].detach() ** 2) * gradient) @ matrix
            expected.append(gradient.norm())
        wanted = torch.stack(expected).flip(0)
        torch.testing.assert_close(found[row, : len(source)], wanted)
        assert (found[row, len(source) :] == 0).all()


class Replacing:
    def __init__(self, step, state):
        self.countdown, self.state = step, state

    def __call__(self, _cell, _inputs, output):
        self.countdown -= 1
        return self.state if self.countdown == -1 else output


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("query", ["conditional", "previous"])
def test_decoder_gradients_are_of_the_last_token_of_each_sentence_alone(cell, query):
    model = network(cell, "additive", query).eval()
    unit = model.decoder.context_cell or model.decoder.cell
    found = state_gradients(model, unit, batch(), last_only=True)
    for row, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        states = []
        handle = unit.register_forward_hook(lambda _c, _i, out, into=states: into.append(out))
        loss = log_likelihood(model, source, target, last_only=True)
        handle.remove()
        expected = torch.stack([g[0].norm() for g in torch.autograd.grad(loss, states)])
        torch.testing.assert_close(found[row, : len(target)], expected)
        assert (found[row, len(target) :] == 0).all()


def test_distances_count_from_the_end_of_each_sentence_to_the_shortest():
    norms = torch.tensor([[1.0, 2.0, 4.0, 0.0], [9.0, 1.0, 5.0, 10.0], [8.0, 6.0, 2.0, 0.0]])
    relative = by_distance(norms, torch.tensor([3, 4, 3]))
    # Distance 1: 2/4, 5/10, 6/2; distance 2: 1/4, 1/10, 8/2.
    assert relative == pytest.approx([1.0, 0.5, 0.25])


def test_factor_is_the_geometric_mean_of_a_step():
    assert Flow("encoder", [1.0, 0.9, 0.25]).factor == pytest.approx(0.5)
    assert Flow("encoder", [1.0, 0.5, 1e-38, 0.0]).factor == pytest.approx(0.5)
    assert Flow("encoder", [1.0]).factor == 0.0


def test_flows_leave_mode_and_gradients_of_the_network_alone():
    model = network("gru", "additive").train()
    for flow in (encoder_flow(model, batch()), decoder_flow(model, batch())):
        assert flow.relative[0] == pytest.approx(1.0)
        assert len(flow.relative) == 3
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_attention_shortens_the_way_of_the_gradient():
    long = [[5, 6, 7, 8, 9, 10, 11, 4] * 4 + [3]] * 2
    fixed, attending = (
        encoder_flow(network("rnn", attention), batch(long, TARGETS)).relative[-1]
        for attention in ("none", "additive")
    )
    assert fixed < 1e-3
    assert attending > 0.05
