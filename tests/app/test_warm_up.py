"""Before a model serves, every size of table and of encoding has been tried."""

import pytest
import torch

from app.models import StartupError
from app.pace import Pace
from app.warm_up import warm_up
from model.packed import kernel_rows


class RecordingNetwork:
    """Notes how many sentences were encoded and how many rows stepped, each time."""

    def __init__(self, network):
        self._network = network
        self.config, self.spelling = network.config, network.spelling
        self.encoded, self.stepped = [], []

    def encode(self, source, lengths):
        self.encoded.append(len(lengths))
        return self._network.encode(source, lengths)

    def step(self, inputs, state, memory):
        self.stepped.append(len(inputs))
        return self._network.step(inputs, state, memory)


class BrokenNetwork(RecordingNetwork):
    """Gives no number."""

    def step(self, inputs, state, memory):
        step = super().step(inputs, state, memory)
        step.logits.fill_(torch.nan)
        return step


@pytest.fixture
def model(tiny_models):
    [model] = tiny_models
    return model


@pytest.mark.parametrize("max_rows", [1, 5, 40])
def test_every_kernel_that_serving_meets_is_met(model, max_rows):
    network = RecordingNetwork(model.checkpoint.model)
    warm_up(model, network, max_rows=max_rows)
    kernels = {kernel_rows(rows) for rows in range(1, max_rows + 1)}
    for met in (network.encoded, network.stepped):
        assert {kernel_rows(rows) for rows in met} == kernels
        assert max(met) <= max_rows


def test_steps_of_a_full_table_are_measured(model):
    pace = Pace()
    before = pace.work(model.identity, 1_000)
    warm_up(model, RecordingNetwork(model.checkpoint.model), pace, max_rows=4)
    assert pace.work(model.identity, 1_000) not in (0.0, before)


def test_a_model_without_probabilities_does_not_start(model):
    with pytest.raises(StartupError, match="tiny does not run"):
        warm_up(model, BrokenNetwork(model.checkpoint.model))
