"""Training on the pretended GPU, each function for a process of its own."""

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from tests.pretended_gpu import GPU, Operations, PretendedGpu, PretendedGraphs
from training import precision
from training.captured import CapturedPasses
from training.config_reader import read_config
from training.precision import Placement
from training.prepare import prepare
from training.trainer import Trainer


class OnGpu(Placement):
    """float32, since autocast knows no pretended device."""

    def autocast(self):
        return nullcontext()


PLACE = OnGpu(GPU, bfloat16=False)


def begin() -> None:
    """Make torch take the device for one of those that it knows."""
    # A module that moves keeps its parameters, and so which of them are one, as on a GPU.
    torch.__future__.set_swap_module_params_on_conversion(True)
    optimizer = sys.modules["torch.optim.optimizer"]  # which torch.optim hides
    optimizer._get_fused_kernels_supported_devices = lambda: ["cpu", GPU.type]


def commands(config: Path, output: Path, *names: str) -> None:
    """These commands of `python -m training`; writes how much each did on the GPU."""
    begin()
    from training.__main__ import cli

    place = precision.place
    for module in list(sys.modules.values()):
        if getattr(module, "place", None) is place:
            module.place = lambda device, precision: PLACE  # noqa: ARG005
    torch.nn.Module.cuda = lambda module: module.to(GPU)
    done = {}
    for name in names:
        # Where `evaluate` asks; the others were told where they run.
        torch.cuda.is_available = lambda name=name: name == "evaluate"
        before = Operations.done
        with PretendedGpu():
            cli([name, str(config)], standalone_mode=False)
        done[name] = Operations.done - before
    output.write_text(json.dumps(done), encoding="utf-8")


def updates(config: Path, output: Path, fault: str = "") -> None:
    """Writes the losses of all updates, without graphs and with, and what was said of graphs.

    With the fault "waits" a pass reads a number from the GPU; with "stale" it learns from what
    stood in a batch when it first met it.
    """
    begin()
    with PretendedGpu():
        plain, _, _ = _losses(config, None)
        captured, graphs, said = _losses(config, fault)
    told = {
        "plain": plain,
        "captured": captured,
        "said": said,
        "recorded": graphs.recorded,
        "replayed": graphs.replayed,
    }
    output.write_text(json.dumps(told), encoding="utf-8")


def _losses(config: Path, fault: str | None) -> tuple[list[float], PretendedGraphs, list[str]]:
    settings, graphs, said = read_config(config), PretendedGraphs(), []
    prepared = prepare(settings, Console(quiet=True))
    trainer = Trainer(settings, prepared, PLACE, say=said.append)
    said.clear()  # that there is no GPU, which is so
    passes, met = trainer._passes, {}

    def faulty(batch):
        batch = batch.to(GPU)
        if fault == "waits":
            batch.targets.sum().item()
        if fault == "stale":
            place = batch.targets
            _, batch = met.setdefault(id(place), (place, replace(batch, targets=place.clone())))
        return passes(batch)

    if fault is not None:
        trainer._passes = CapturedPasses(
            faulty, trainer.model, trainer.plan, GPU, graphs, said.append
        )
    return [update.loss for update in trainer.updates()], graphs, said
