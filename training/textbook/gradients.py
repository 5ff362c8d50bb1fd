"""Measures how gradients travel in the three cells, before and after training."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track

from model.checkpoint import load_checkpoint
from model.config import Cell, ModelConfig
from model.seq2seq import Seq2Seq
from training.batches import TrainingBatch
from training.config import TrainingConfig
from training.corpus import Pair
from training.interruption import work_to_abandon
from training.memory import keep_freed_memory
from training.precision import place
from training.prepare import Prepared, prepare
from training.schedule import note_on_warm_up
from training.textbook.clipping import ClippingRun, clipping_runs
from training.textbook.gradient_flow import Flow, decoder_flow, encoder_flow
from training.textbook.long_sentences import encoded, longest_pairs
from training.textbook.spectrum import Spectrum, scale_recurrence, spectra
from training.textbook.variants import spoken
from training.trainer import Trainer

CELLS: tuple[Cell, ...] = ("rnn", "lstm", "gru")
SCALES = (0.5, 1.0, 2.0, 4.0)
"""Singular values given to the recurrent matrix of the forward encoder, untrained tanh cells."""
CLIPPING_STEPS = 100
"""Updates after which a run without clipping has long shown what becomes of it."""


@dataclass(frozen=True, slots=True)
class Network:
    """One network at one time."""

    label: str
    trained: bool
    flows: list[Flow]
    """Of the forward encoder and of the decoder."""
    spectra: dict[str, list[Spectrum]]
    """By place, of each gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradients:
    """All that was measured."""

    title: str
    data: str
    steps: int
    """Updates between the two times; 0 where a checkpoint was given."""
    networks: list[Network]
    shortcuts: dict[str, Flow] = field(default_factory=dict)
    """The encoder of untrained networks with the fixed vector and with attention."""
    directions: dict[str, Flow] = field(default_factory=dict)
    """`forward` and `backward` of the encoder of an untrained GRU with the fixed vector."""
    scales: dict[str, Flow] = field(default_factory=dict)
    """The encoder of untrained tanh networks, by the singular values of their recurrence."""
    clipped: dict[str, float] = field(default_factory=dict)
    """Share of updates clipped while each cell was trained."""
    clipping: list[ClippingRun] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with what the report computes from them."""
        values = asdict(self)
        for plain, network in zip(values["networks"], self.networks, strict=True):
            for flow, measured in zip(plain["flows"], network.flows, strict=True):
                flow["factor"] = measured.factor
        for plain, run in zip(values["clipping"], self.clipping, strict=True):
            plain |= {"final_loss": run.final_loss, "diverged": run.diverged}
        return values


def gradients_of_config(config: TrainingConfig, steps: int, console: Console) -> Gradients:
    """Train each cell for `steps` updates and measure it before and after; clipping beside it.

    Raises CorpusError, RunLockedError, Interrupted, TrainingError or OSError.
    """
    keep_freed_memory()
    with work_to_abandon(config.run):
        placement = place(config.training.device, config.training.precision)
        prepared = prepare(config, console)
        batch = longest_pairs(prepared.validation).to(placement.device)
        if note := note_on_warm_up(steps, config.training):
            console.print(f"[yellow]Note:[/yellow] {note}")
        networks: list[Network] = []
        clipped = {}
        for cell in CELLS:
            before, after, share = _trained(config, cell, steps, prepared, batch, console)
            networks += [before, after]
            clipped[before.label] = share
        return Gradients(
            title=f"{config.data.source_language} → {config.data.target_language}",
            data=config.card.data,
            steps=steps,
            networks=networks,
            shortcuts=_shortcuts(config, batch),
            directions=_directions(config, batch),
            scales=_scales(config, batch),
            clipped=clipped,
            clipping=clipping_runs(config, prepared, min(steps, CLIPPING_STEPS), console),
        )


def gradients_of_checkpoint(folder: Path, pairs: Sequence[Pair]) -> Gradients:
    """Measure a checkpoint, and beside it the same network untrained. Raises CheckpointError."""
    checkpoint = load_checkpoint(folder)
    manifest = checkpoint.manifest
    dataset = encoded(pairs, checkpoint.source_tokenizer, checkpoint.target_tokenizer)
    batch = longest_pairs(dataset)
    label = spoken("cell", manifest.config.cell)
    return Gradients(
        title=f"{manifest.source_language} → {manifest.target_language}",
        data="",
        steps=0,
        networks=[
            measure(untrained(manifest.config, seed=1), label, batch, trained=False),
            measure(checkpoint.model, label, batch, trained=True),
        ],
    )


def measure(model: Seq2Seq, label: str, batch: TrainingBatch, *, trained: bool) -> Network:
    """Flows and spectra of one network as it is."""
    places = {"encoder": model.encoder.forward_cell, "decoder": model.decoder.cell}
    return Network(
        label,
        trained,
        [encoder_flow(model, batch), decoder_flow(model, batch)],
        {place: spectra(model.config.cell, cell) for place, cell in places.items()},
    )


def untrained(config: ModelConfig, seed: int) -> Seq2Seq:
    """A network at its initialisation."""
    torch.manual_seed(seed)
    return Seq2Seq(config)


def _trained(
    config: TrainingConfig,
    cell: Cell,
    steps: int,
    prepared: Prepared,
    batch: TrainingBatch,
    console: Console,
) -> tuple[Network, Network, float]:
    """One cell before and after training, and the share of its updates that were clipped."""
    settings = replace(config.training, max_steps=steps, patience=None)
    varied = replace(config, model=replace(config.model, cell=cell), training=settings)
    trainer = Trainer(varied, prepared, place(settings.device, settings.precision))
    label = spoken("cell", cell)
    before = measure(trainer.model, label, batch, trained=False)
    for _ in track(
        trainer.updates(),
        label,
        total=steps,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ):
        pass
    after = measure(trainer.model, label, batch, trained=True)
    return before, after, trainer.position.clipped / trainer.position.step


def _shortcuts(config: TrainingConfig, batch: TrainingBatch) -> dict[str, Flow]:
    flows = {}
    for attention in ("none", "additive"):
        for cell in CELLS:
            choices = replace(config.model, cell=cell, attention=attention)
            model = untrained(choices, config.training.seed).to(batch.targets.device)
            label = f"{spoken('cell', cell)} · {spoken('attention', attention)}"
            flows[label] = encoder_flow(model, batch)
    return flows


def _directions(config: TrainingConfig, batch: TrainingBatch) -> dict[str, Flow]:
    choices = replace(config.model, cell="gru", attention="none")
    model = untrained(choices, config.training.seed).to(batch.targets.device)
    return {
        "forward": encoder_flow(model, batch),
        "backward": encoder_flow(model, batch, backward=True),
    }


def _scales(config: TrainingConfig, batch: TrainingBatch) -> dict[str, Flow]:
    flows = {}
    for scale in SCALES:
        choices = replace(config.model, cell="rnn", attention="none")
        model = untrained(choices, config.training.seed).to(batch.targets.device)
        scale_recurrence(model.encoder.forward_cell, scale)
        flows[f"σ = {scale:g}"] = encoder_flow(model, batch)
    return flows
