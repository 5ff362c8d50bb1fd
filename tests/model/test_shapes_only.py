"""Networks that take no memory."""

import subprocess
import sys
from pathlib import Path

import torch
from torch import nn

from model.shapes_only import shapes_only

DATA = Path(__file__).parents[1] / "data"


def test_shapes_are_those_of_the_network():
    with shapes_only():
        network = nn.Sequential(nn.Embedding(1_000_000, 100_000), nn.Linear(4, 3))
    assert network[0].weight.shape == (1_000_000, 100_000)
    assert all(weight.is_meta for weight in network.parameters())


def test_networks_made_afterwards_have_their_weights():
    with shapes_only():
        nn.Linear(4, 3)
    weight = nn.Linear(4, 3).weight
    assert not weight.is_meta
    assert torch.any(weight != 0)


def test_no_compiler_is_imported_to_check_a_checkpoint():
    folder = DATA / "checkpoint-format-1"
    program = (
        "import sys; from pathlib import Path; from model.checkpoint import load_checkpoint; "
        f"load_checkpoint(Path({str(folder)!r})); sys.exit('torch._dynamo' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
