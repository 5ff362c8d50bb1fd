"""The network of a model that is served needs nothing of what it was made of."""

import asyncio

import torch

from app.catalog import fast_network, lean_network
from app.engine import Engine, Job
from app.models import load_model
from app.pace import Pace
from app.warm_up import warm_up
from model.batch import pad_sentences
from model.hypothesis import SearchOptions
from model.search import beam_search
from model.search_events import SearchRequest
from tests.pretended_gpu import GPU, GpuTensor, PretendedGpu, moved


def translate(network):
    batch = pad_sentences([[5, 6, 7, network.config.eos_id]], network.config.pad_id)
    [[best]] = beam_search(network, batch, SearchOptions(beam_size=1, max_length=5))
    return best


def test_a_lean_network_translates_as_the_usual_one_without_the_weights(tiny_checkpoint):
    model = load_model(tiny_checkpoint)
    network = lean_network(model)
    assert {weight.device.type for weight in model.checkpoint.model.parameters()} == {"meta"}
    lean, usual = translate(network), translate(fast_network(load_model(tiny_checkpoint)))
    assert lean.token_log_probs == usual.token_log_probs
    assert lean.tokens == usual.tokens


def test_where_there_is_a_gpu_the_network_runs_on_it(tiny_checkpoint, monkeypatch):
    """Both are swapped in: what there is, and how a module is moved to what is no real device."""
    request = SearchRequest((5, 6, 7, 3), SearchOptions(beam_size=3, max_length=6))
    usual = run_engine(fast_network(load_model(tiny_checkpoint)), request)
    asked = []

    def move(module, device):
        asked.append(device)
        return moved(module)

    monkeypatch.setattr("app.catalog.serving_device", lambda: GPU)
    monkeypatch.setattr(torch.nn.Module, "to", move)
    with torch.inference_mode(), PretendedGpu():
        model = load_model(tiny_checkpoint)
        network = fast_network(model)
        warm_up(model, network, Pace(), max_rows=4)
        found = run_engine(network, request)
        batch = pad_sentences([[5, 3]], network.config.pad_id)
        assert isinstance(network.encode(batch.ids, batch.lengths)[1], GpuTensor)
    assert asked == [GPU]
    assert found.tokens == usual.tokens


def run_engine(network, request):
    """The best hypothesis that an engine finds, stepped as the worker does."""
    loop = asyncio.new_event_loop()
    engine = Engine(network)
    assert engine.admit([Job("tiny", request, loop.create_future())]) == []
    outcomes = []
    while engine:
        outcomes += engine.step()
    loop.close()
    [[best]] = [outcome.result for outcome in outcomes]
    return best
