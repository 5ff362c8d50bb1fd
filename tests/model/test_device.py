"""The network as it is served, and its search, on another device than the host."""

import pytest
import torch

from model.alignment_head import AlignmentHead
from model.batch import pad_sentences
from model.fast_seq2seq import FastSeq2Seq
from model.hypothesis import SearchOptions
from model.search import BeamSearch
from model.search_events import Finished, SearchRequest
from tests.model.test_fast_seq2seq import EOS, PAD, SOURCES, VARIANTS, assert_same, reference
from tests.pretended_gpu import GPU, GpuTensor, PretendedGpu, moved

OPTIONS = [
    SearchOptions(beam_size=1, max_length=9),
    SearchOptions(beam_size=8, n_best=8, coverage_penalty=0.2, max_length=15),
    SearchOptions(beam_size=3, n_best=2, max_length=12),
    SearchOptions(beam_size=5, n_best=3, max_length=12),
]


def requests(*, head):
    targets = [None, None, None, (7, 8, EOS)]
    for source, options, target in zip(SOURCES, OPTIONS, targets, strict=True):
        yield SearchRequest(source, options, target=target, stream=True, head=head)


def translate(network, *, head):
    """Sentences join and leave the table one after the other, and one is given up."""
    table, results = BeamSearch(network), {}
    slots = []
    for request in requests(head=head):
        slots += table.admit([request])
        results |= finished(table.step())
    [gone] = table.admit([SearchRequest(SOURCES[0], OPTIONS[1])])
    table.probe([gone])
    results |= finished(table.step())
    table.cancel(gone)
    while len(table):
        results |= finished(table.step())
    return [results[slot] for slot in slots]


def finished(events):
    return {event.slot: event.hypotheses for event in events if isinstance(event, Finished)}


@pytest.mark.parametrize("choices", VARIANTS)
def test_what_a_search_gives_does_not_depend_on_the_device(choices):
    has_head = choices["attention"] == "additive"
    model = reference(**choices)
    head = AlignmentHead(model.config, 8, refinement_channels=3).eval() if has_head else None
    if head:
        torch.nn.init.normal_(head.refinement.outer.weight)
    expected = translate(FastSeq2Seq(model, torch.float32, head), head=has_head)
    with torch.inference_mode(), PretendedGpu():
        network = FastSeq2Seq(moved(model), head=moved(head) if head else None)
        found = translate(network, head=has_head)
        batch = pad_sentences(SOURCES, PAD)
        _, state = network.encode(batch.ids, batch.lengths)
        assert isinstance(state, GpuTensor)
    assert_same(found, expected, 1e-5)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one[0].head_weights, other[0].head_weights)


def test_tensors_of_two_devices_are_told_apart():
    with torch.inference_mode(), PretendedGpu():
        there = torch.ones(2, 3, device=GPU)
        with pytest.raises(RuntimeError, match="two devices"):
            there.add(torch.ones(2, 3))
        with pytest.raises(RuntimeError, match="two devices"):
            torch.ones(2, 3)[torch.tensor([1], device=GPU)]
        with pytest.raises(TypeError, match="memory of the host"):
            there.numpy()
        assert there[torch.tensor([1])].tolist() == [[1.0] * 3]
