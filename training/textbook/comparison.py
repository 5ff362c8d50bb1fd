"""Trains variants of one network on the same corpus with the same budget, and compares them."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.markup import escape

from model.checkpoint import load_checkpoint
from training.config import ConfigError, TrainingConfig
from training.interruption import run_lock, stop_signals
from training.memory import keep_freed_memory
from training.precision import place
from training.prepare import Prepared, prepare
from training.resume import write_durably
from training.textbook.course import step_at_loss
from training.textbook.recommendation import recommend
from training.textbook.results import Comparison, Failure, Result, Standing
from training.textbook.significance import p_values
from training.textbook.throughput import Throughput, measure_throughput
from training.textbook.variant_run import VariantRun
from training.textbook.variants import Variant, Variation, variants


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What every variant may spend; exactly one of the two."""

    steps: int | None = None
    """Updates of the weights."""
    seconds: float | None = None
    """Time in updates, turned into so many updates of each variant by timing them side by side."""

    def __post_init__(self) -> None:
        given = [value for value in (self.steps, self.seconds) if value is not None]
        if len(given) != 1 or not 0 < given[0] < math.inf:
            raise ConfigError("give --steps or --seconds, one of them, above 0")

    def steps_of(self, throughput: Throughput) -> int:
        """Updates of a variant with this speed."""
        if self.steps is not None:
            return self.steps
        assert self.seconds is not None
        return max(1, round(self.seconds / throughput.seconds_per_update))

    def __str__(self) -> str:
        if self.steps is not None:
            return f"{self.steps:,} updates each"
        return f"{self.seconds:g} seconds of updates each"


def compare(
    config: TrainingConfig,
    variations: Sequence[Variation],
    budget: Budget,
    console: Console,
    common_loss: float | None = None,
) -> Comparison | None:
    """Train and score every combination; those that an earlier call finished are not trained again.

    All is kept in `RUN/comparison`. `common_loss` is what times are compared at, in nats a token;
    without it, the lowest loss that every variant reached. Returns None if a signal came first:
    the state is saved, and the same call goes on. Raises ConfigError, CorpusError, ResumeError,
    RunLockedError or OSError.
    """
    keep_freed_memory()
    place(config.training.device, config.training.precision)  # else said after preparing
    with run_lock(config.run), stop_signals() as stop_requested:
        with stop_requested.abandoning():
            prepared = prepare(config, console)
        folder = config.run / "comparison"
        chosen = variants(config, variations)
        origin = _origin(config)
        throughputs = _throughputs(chosen, prepared, folder, console)
        runs = [
            _variant_run(variant, budget.steps_of(throughput), origin, prepared, folder, console)
            for variant, throughput in zip(chosen, throughputs, strict=True)
        ]
        for note in dict.fromkeys(run.note for run in runs if run.note):
            console.print(f"[yellow]Note:[/yellow] {note}")
        for number, run in enumerate(runs, start=1):
            if run.finished() is None and run.run(stop_requested) is None:
                console.print(f"Stopped in variant {number}; the same command goes on.")
                return None
            _tell(number, len(runs), run, console)
        return _compared(config, runs, throughputs, budget, prepared, common_loss)


def _origin(config: TrainingConfig) -> dict[str, str]:
    """What a variant's weights follow from beside its settings: those that all begin with."""
    if config.training.start_from is None:
        return {}
    return {"started_from": load_checkpoint(config.training.start_from).digest}


def _variant_run(
    variant: Variant,
    steps: int,
    origin: dict[str, str],
    prepared: Prepared,
    folder: Path,
    console: Console,
) -> VariantRun:
    training = replace(variant.config.training, max_steps=steps, patience=None)
    budgeted = Variant(variant.choices, replace(variant.config, training=training))
    validation = {**asdict(variant.config.validation), "samples": 0}
    key = budgeted.key(data=prepared.fingerprint, validation=validation, **origin)
    return VariantRun(budgeted, prepared, folder / f"variant-{key}", console)


def _throughputs(
    chosen: Sequence[Variant], prepared: Prepared, folder: Path, console: Console
) -> list[Throughput]:
    """Measured once and kept, since budgets in seconds depend on it.

    Variants that come later are timed beside those that are known, and count at the pace of then:
    a machine that has become slower or faster moves none against the others.
    """
    keys = [_speed_key(variant, prepared) for variant in chosen]
    path = folder / "throughput.json"
    kept: dict[str, Throughput] = {}
    if path.exists():
        values = json.loads(path.read_text(encoding="utf-8"))
        kept = {key: Throughput(**speed) for key, speed in values.items()}
    if not kept.keys() >= set(keys):
        measured = dict(zip(keys, measure_throughput(chosen, prepared, console), strict=True))
        paces = [
            kept[key].seconds_per_update / speed.seconds_per_update
            for key, speed in measured.items()
            if key in kept
        ]
        pace = median(paces) if paces else 1.0
        kept = {key: speed.at_pace(pace) for key, speed in measured.items()} | kept
        folder.mkdir(parents=True, exist_ok=True)
        by_key = {key: asdict(speed) for key, speed in kept.items()}
        write_durably(path, json.dumps(by_key, indent=1).encode())
    return [kept[key] for key in keys]


def _speed_key(variant: Variant, prepared: Prepared) -> str:
    training = variant.config.training
    return variant.key(data=prepared.fingerprint, threads=training.threads, device=training.device)


def _tell(number: int, total: int, run: VariantRun, console: Console) -> None:
    found = run.finished()
    figures = (
        f"[red]{escape(found.reason)}[/red]"
        if isinstance(found, Failure)
        else f"loss {found.loss:.3f} · BLEU {found.bleu:.2f} · chrF {found.chrf:.2f}"
        if found is not None
        else ""
    )
    console.print(f"{number} of {total}: [bold]{run.variant.label}[/bold]: {figures}")


def _compared(
    config: TrainingConfig,
    runs: Sequence[VariantRun],
    throughputs: Sequence[Throughput],
    budget: Budget,
    prepared: Prepared,
    common_loss: float | None,
) -> Comparison:
    finished: list[tuple[VariantRun, Result, Throughput]] = []
    failures = []
    for run, throughput in zip(runs, throughputs, strict=True):
        match run.finished():
            case Result() as result:
                finished.append((run, result, throughput))
            case Failure() as failure:
                failures.append(failure)
    losses = [min(p.validation_loss for p in result.points) for _, result, _ in finished]
    loss = common_loss if common_loss is not None else max(losses, default=0.0)
    p_by_label = _p_values(config, finished, prepared)
    standings = [
        Standing(
            result=result,
            throughput=throughput,
            steps_to_loss=step_at_loss(result.points, loss),
            p_value=p_by_label.get(result.label),
        )
        for _, result, throughput in finished
    ]
    return Comparison(
        title=f"{config.data.source_language} → {config.data.target_language}",
        data=config.card.data,
        budget=str(budget),
        loss=loss,
        standings=standings,
        failures=failures,
        recommendation=recommend(standings, failures),
    )


def _p_values(
    config: TrainingConfig,
    finished: Sequence[tuple[VariantRun, Result, Throughput]],
    prepared: Prepared,
) -> dict[str, float]:
    """By label, the p-value of the difference between a variant's BLEU and the leader's."""
    if not finished:
        return {}
    leader = max(finished, key=lambda item: item[1].bleu)
    references = [pair.target for pair in prepared.validation_pairs(config.validation.max_pairs)]
    others = {
        result.label: run.translations() for run, result, _ in finished if run is not leader[0]
    }
    return p_values(leader[0].translations(), others, references, config.data.target_language)
