"""One training run from its configuration to a checkpoint that the service loads."""

from pathlib import Path
from typing import Any

from rich.console import Console

from model.checkpoint import save_checkpoint
from model.tokenizer import Tokenizer
from training.card import model_card
from training.config import TrainingConfig
from training.interruption import run_lock, stop_signals
from training.memory import keep_freed_memory
from training.precision import place
from training.prepare import Prepared, prepare
from training.reporter import Reporter
from training.resume import ResumeStore
from training.trainer import Trainer
from training.validation import Validation, Validator

SAVES_TRIED = 3
"""Saves of the resume state that may fail one after the other before training gives up."""


def train(config: TrainingConfig, console: Console) -> Path | None:
    """Train until the budget is used up, resuming whatever the run folder holds.

    Returns the folder of the best checkpoint, or None if a signal ended the run early (its state
    is saved; the same command goes on). Raises ConfigError, CorpusError, ResumeError,
    RunLockedError, TrainingError or OSError.
    """
    keep_freed_memory()
    with run_lock(config.run):
        prepared = prepare(config, console)
        return _Run(config, prepared, console).train()


class _Run:
    def __init__(self, config: TrainingConfig, prepared: Prepared, console: Console) -> None:
        self._config = config
        self._prepared = prepared
        self._console = console
        self._placement = place(config.training.device, config.training.precision)
        self._trainer = Trainer(config, prepared, self._placement)
        self._validate = Validator(config, prepared, self._placement)
        self._store = ResumeStore(config.run / "resume")
        self._failed_saves = 0

    def train(self) -> Path | None:
        self._resume()
        trainer, position = self._trainer, self._trainer.position
        with (
            stop_signals() as stop_requested,
            Reporter(self._console, self._config.run, trainer.total_steps) as reporter,
        ):
            for update in trainer.updates():
                reporter.update(position, update)
                if self._validation_is_due():
                    self._measure(reporter)
                    self._save()
                elif position.step % self._config.training.save_every_steps == 0:
                    self._save()
                if stop_requested() and not trainer.finished:
                    self._save()
                    reporter.say(f"Stopped at step {position.step:,}; the same command goes on.")
                    return None
            if position.best_step == 0:
                self._measure(reporter)
                self._save()
        return self._config.checkpoint_folder

    def _resume(self) -> None:
        parameters = sum(p.numel() for p in self._trainer.model.parameters())
        self._console.print(
            f"{parameters / 1e6:.1f} million parameters on {self._placement.device}, products in "
            f"{'bfloat16' if self._placement.bfloat16 else 'float32'}"
        )
        if self._trainer.started_from is not None:
            self._console.print(f"Beginning with the weights of {self._trainer.started_from}")
        state, complaints = self._store.load()
        for complaint in complaints:
            self._console.print(f"[yellow]{complaint}; going back to the save before[/yellow]")
        if state is not None:
            self._trainer.restore(state)
            self._console.print(f"Going on from step {self._trainer.position.step:,}")

    def _validation_is_due(self) -> bool:
        every, position = self._config.training.validate_every_steps, self._trainer.position
        if every is not None:
            return position.step % every == 0 or self._trainer.finished
        return position.batch == 0 or self._trainer.finished

    def _measure(self, reporter: Reporter) -> None:
        validation = self._validate(self._trainer.averaged_model)
        best = self._trainer.record(validation.loss)
        if best:
            self._write_checkpoint(validation)
        reporter.validation(self._trainer.position, validation, best=best)

    def _save(self) -> None:
        try:
            self._store.save(self._trainer.position.step, self._trainer.state())
            self._failed_saves = 0
        except OSError as error:
            self._failed_saves += 1
            if self._failed_saves == SAVES_TRIED:
                raise
            self._console.print(
                f"[red]{error.strerror}[/red]; training goes on, trying again later"
            )

    def _write_checkpoint(self, validation: Validation) -> None:
        config, scores = self._config, validation.scores
        metrics: dict[str, Any] = {
            "loss": validation.loss,
            "bleu": scores.bleu,
            "chrf": scores.chrf,
            "signature": scores.signature,
            "pairs": config.validation.max_pairs or len(self._prepared.validation),
        }
        if validation.alignment is not None:
            metrics |= {
                "aer": 100 * validation.alignment.scores.aer,
                "alignment_rule": validation.alignment.rule,
                "alignment_threshold": validation.alignment.threshold,
                "alignment_shift": validation.alignment_shift,
            }
        save_checkpoint(
            config.checkpoint_folder,
            name=config.run.name,
            model=self._trainer.averaged_model,
            source_tokenizer=Tokenizer(self._prepared.source_spm),
            target_tokenizer=Tokenizer(self._prepared.target_spm),
            source_language=config.data.source_language,
            target_language=config.data.target_language,
            training={
                "step": self._trainer.position.step,
                "epoch": self._trainer.position.epoch,
                "data": self._prepared.fingerprint,
                "cleaning": self._prepared.reports,
                # Where the weights it began with lie is this machine's business; which they are
                # is not.
                "settings": config.as_dict()["training"]
                | {"start_from": self._trainer.started_from},
            },
            metrics=metrics,
            card=model_card(config, self._prepared, metrics),
        )
