"""No command of training mixes devices, and none waits inside a graph, on a pretended GPU."""

import json

import pytest
import torch

from tests.pretended_gpu import GPU, PretendedGpu, PretendedGraphs
from tests.training.faults.processes import end, start
from tests.training.faults.tiny_run import PAIRS, write_run
from tests.training.on_a_gpu import commands, updates


@pytest.fixture
def run(tmp_path):
    """A run of two updates, with links and gold links that are the diagonal."""
    config = write_run(tmp_path / "a", "max_steps = 2\n")
    sides = [pair.strip().split("\t") for pair in PAIRS]
    links = [" ".join(f"{i}-{i}" for i in range(len(source.split()))) for source, _ in sides]
    gold = config.parent / "gold"
    gold.mkdir()
    write(gold / "src.txt", [source for source, _ in sides[:8]])
    write(gold / "tgt.txt", [target for _, target in sides[:8]])
    write(gold / "gold.txt", links[:8])
    write(config.parent / "links.txt", links)
    text = config.read_text().replace("[validation]", '[validation]\ngold_align = ["gold"]')
    head = "[head]\nmax_steps = 2\nrefinement_steps = 2\nunits = 8\nheld_out = 20\n"
    more = '[align]\nlinks = "links.txt"\n' + head
    config.write_text(text + more)
    return config


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def answer(work, config, *arguments):
    """What a process of its own wrote."""
    output = config.with_name("told.json")
    assert end(start(work, config, output, *arguments), 300) == 0
    return json.loads(output.read_text(encoding="utf-8"))


def test_a_model_is_trained_given_a_head_and_evaluated(run):
    done = answer(commands, run, "train", "align", "head", "evaluate")
    assert done["align"] == 0
    assert min(done["train"], done["head"], done["evaluate"]) > 1000


@pytest.mark.parametrize(
    "model", ["", 'cell = "lstm"\nattention_query = "previous"', 'attention = "none"']
)
def test_recorded_updates_are_those_without_graphs(tmp_path, model):
    told = answer(updates, graphs_config(tmp_path, model))
    assert told["said"] == []
    assert told["captured"] == pytest.approx(told["plain"], rel=1e-5)
    assert told["replayed"] == 1 + len(told["plain"])  # and one to hold it against


@pytest.mark.parametrize(("fault", "said"), [("waits", "not permitted"), ("stale", "other")])
def test_what_cannot_be_recorded_is_found_out(tmp_path, fault, said):
    told = answer(updates, graphs_config(tmp_path), fault)
    assert len(told["said"]) == 1
    assert said in told["said"][0]
    assert told["captured"] == pytest.approx(told["plain"], rel=1e-5)


def graphs_config(folder, model=""):
    """A run without dropout, which draws anew at every replay."""
    config = write_run(folder / "a", "cuda_graphs = true\nmax_steps = 2\n")
    config.write_text(config.read_text().replace("dropout = 0.2", f"dropout = 0.0\n{model}"))
    return config


def test_a_recorded_graph_reads_and_writes_the_same_places():
    with PretendedGpu():
        place, factor = torch.zeros(3, device=GPU), torch.ones(3, device=GPU)
        number = [2.0]
        replay = PretendedGraphs()(lambda: place.copy_((factor + 1).mul_(number[0])))
        assert place.tolist() == [4.0] * 3
        factor.copy_(torch.tensor([0.0, 1.0, 2.0]))
        number[0] = 100.0  # Python's, so it stays as it was
        replay()
        assert place.tolist() == [2.0, 4.0, 6.0]
        for waits in (
            lambda: place.sum().item(),
            place.tolist,
            lambda: place.numpy(force=True),
            lambda: torch.ones(3).to(GPU),
            lambda: torch.tensor([1.0], device=GPU),
        ):
            with pytest.raises(RuntimeError, match="while a graph is recorded"):
                PretendedGraphs()(waits)
