"""Recorded passes give the gradients of those they replace, or training goes on without them.

There is no GPU here: what records is replaced by what runs again, or by what does so wrongly.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from training.batches import BatchPlan
from training.captured import (
    MULTIPLE,
    CapturedPasses,
    Shape,
    padded_to,
    shape_of,
    shapes,
)
from training.config import DataConfig, TrainerConfig, TrainingConfig
from training.dataset import ParallelDataset, TokenArray
from training.passes import Passes
from training.precision import Placement
from training.ranks import Ranks

CPU = Placement(torch.device("cpu"), bfloat16=False)
PAD, BOS, EOS, VOCABULARY = 0, 2, 3, 40
BUDGET = 160


def token_array(random, count):
    rows = [
        [*random.integers(4, VOCABULARY, random.integers(0, 20)).tolist(), EOS]
        for _ in range(count)
    ]
    return TokenArray(np.concatenate(rows).astype(np.uint16), np.cumsum([0, *map(len, rows)]))


@pytest.fixture
def plan():
    random = np.random.default_rng(3)
    dataset = ParallelDataset(token_array(random, 90), token_array(random, 90))
    return BatchPlan(
        dataset=dataset,
        max_batch_tokens=BUDGET,
        seed=1,
        pad_id=PAD,
        bos_id=BOS,
        joined_share=0.2,
        joined_pieces=30,
        multiple=MULTIPLE,
    )


def network(**sizes):
    torch.manual_seed(1)
    return Seq2Seq(
        ModelConfig(
            source_vocabulary_size=VOCABULARY,
            target_vocabulary_size=VOCABULARY,
            embedding_size=8,
            encoder_units=8,
            decoder_units=8,
            attention_units=8,
            **{"dropout": 0.0} | sizes,
        )
    )


def passes_of(model):
    nowhere = Path()
    data = DataConfig(
        train=(nowhere,), validation=(nowhere,), source_language="a", target_language="b"
    )
    settings = TrainerConfig(max_steps=1)
    config = TrainingConfig(run=nowhere, data=data, model=model.config, training=settings)
    return Passes(model, config, CPU, Ranks())


class Again:
    """Records nothing: runs the work again."""

    def __init__(self):
        self.recorded = 0

    def __call__(self, run):
        self.recorded += 1
        run()
        return run


def captured(model, plan, record, said):
    return CapturedPasses(passes_of(model), model, plan, CPU.device, record, said.append)


def gradients(model):
    return [parameter.grad.clone() for parameter in model.parameters()]


def assert_learns_the_same(model, plan, record, said):
    """Over an epoch, each batch has the totals and the gradients of the passes themselves."""
    recorded, plain = captured(model, plan, record, said), passes_of(model)
    for batch in plan.batches(0):
        model.zero_grad(set_to_none=False)
        totals = recorded(batch).clone()
        found = gradients(model)
        model.zero_grad(set_to_none=False)
        torch.testing.assert_close(totals, plain(batch), rtol=1e-6, atol=0)
        torch.testing.assert_close(found, gradients(model), rtol=1e-4, atol=1e-6)
        assert any(gradient.abs().max() > 1e-3 for gradient in found)
    return recorded


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"cell": "lstm", "attention_query": "previous"},
        {"cell": "rnn", "attention": "none"},
        {"share_embeddings": False, "tie_output": False},
    ],
)
def test_a_replayed_pass_gives_the_gradients_of_the_batch(plan, sizes):
    said = []
    assert_learns_the_same(network(**sizes), plan, Again(), said)
    assert said == []


def test_there_is_one_graph_for_each_shape_and_the_largest_comes_first(plan):
    sizes = []

    class Sizes(Again):
        def __call__(self, run):
            sizes.append(run.__self__._batch.inputs.shape)
            return super().__call__(run)

    model, record = network(), Sizes()
    assert_learns_the_same(model, plan, record, [])
    wanted = set(shapes(plan, 0))
    _checked, *graphs = sizes
    assert len(graphs) == len(wanted) < sum(1 for _ in plan.batches(0))
    largest = max(wanted, key=lambda shape: shape.size)
    assert tuple(graphs[0]) == (largest.rows, largest.target)


def test_shapes_are_known_before_the_batches_are_made(plan):
    assert list(shapes(plan, 2)) == [shape_of(batch, BUDGET) for batch in plan.batches(2)]


def test_batches_that_are_padded_keep_within_the_budget(plan):
    for shape in shapes(plan, 0):
        assert shape.source % MULTIPLE == shape.target % MULTIPLE == 0
        assert shape.rows * max(shape.source, shape.target) <= BUDGET


def test_a_pair_beyond_the_budget_is_a_shape_of_its_own():
    assert Shape.of(1, 500, 3, BUDGET) == Shape(1, 504, 8)


def test_added_rows_and_positions_hold_nothing_to_learn(plan):
    batch = next(plan.batches(0))
    rows = len(batch.targets)
    padded = padded_to(batch, Shape(rows + 3, 48, 40), pad_id=PAD)
    assert padded.source.ids.shape == (rows + 3, 48)
    assert padded.inputs.shape == padded.targets.shape == (rows + 3, 40)
    assert padded.source.lengths[rows:].tolist() == [1, 1, 1]
    assert (padded.targets != PAD).sum() == (batch.targets != PAD).sum()
    torch.testing.assert_close(
        padded.source.ids[:rows, : batch.source.ids.shape[1]], batch.source.ids
    )


def test_what_replays_nothing_is_noticed_and_training_goes_on_without(plan):
    def nothing(run):
        run()
        return lambda: None

    said = []
    assert_learns_the_same(network(), plan, nothing, said)
    assert len(said) == 1
    assert "other gradients" in said[0]


def test_what_replays_the_batch_it_was_recorded_on_is_noticed(plan):
    def baked(run):
        run()
        graph = run.__self__
        batch = graph._batch
        held = replace(
            batch,
            source=replace(batch.source, ids=batch.source.ids.clone()),
            inputs=batch.inputs.clone(),
            targets=batch.targets.clone(),
        )
        return lambda: graph._totals.copy_(graph._passes(held))

    said = []
    assert_learns_the_same(network(), plan, baked, said)
    assert len(said) == 1


@pytest.mark.parametrize("recorded_before", [0, 1, 3])
def test_where_recording_fails_training_says_why_and_goes_on(plan, recorded_before):
    class Failing(Again):
        def __call__(self, run):
            if self.recorded == recorded_before:
                run()
                raise RuntimeError("operation not permitted when stream is capturing\nmore")
            return super().__call__(run)

    said = []
    assert_learns_the_same(network(), plan, Failing(), said)
    assert said == [
        "CUDA graphs cannot be recorded here (operation not permitted when stream is capturing): "
        "training goes on without"
    ]


def test_beyond_the_most_graphs_batches_are_passed_one_by_one(plan, monkeypatch):
    monkeypatch.setattr("training.captured.MOST_GRAPHS", 2)
    record = Again()
    assert_learns_the_same(network(), plan, record, [])
    assert record.recorded == 3  # one of them for the check


def test_dropout_is_back_after_the_check(plan):
    model = network(dropout=0.5)
    passes = captured(model, plan, Again(), [])
    batch = next(plan.batches(0))
    totals = [passes(batch).tolist() for _ in range(2)]
    assert model.training
    assert totals[0] != totals[1]
