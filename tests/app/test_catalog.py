"""The network of a model that is served needs nothing of what it was made of."""

from app.catalog import fast_network, lean_network
from app.models import load_model
from model.batch import pad_sentences
from model.hypothesis import SearchOptions
from model.search import beam_search


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
