"""One training run from its configuration to a checkpoint that the service loads."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from model.checkpoint import CheckpointError, save_checkpoint
from model.tokenizer import Tokenizer
from training.card import model_card
from training.config import TrainingConfig
from training.divergence import Divergence
from training.fingerprint import data_components
from training.gold import read_gold
from training.interruption import Interrupted, StopSignals, run_lock, stop_signals
from training.memory import keep_freed_memory
from training.precision import Placement, place
from training.prepare import Prepared, load_prepared, prepare
from training.ranks import Ranks, all_ranks
from training.reporter import Reporter
from training.resume import ResumeStore, check_resumable
from training.schedule import note_on_warm_up
from training.starting_weights import starting_checkpoint
from training.trainer import NonFiniteError, Trainer, TrainingError
from training.validation import Validation, Validator

WRITES_TRIED = 3
"""Writes of state or checkpoint that may fail one after the other before training gives up."""
ROLLBACKS = 3
"""Times that training goes back to the last saved state, each time with half the learning rate."""


def train(
    config: TrainingConfig, console: Console, *, allow_world_size_change: bool = False
) -> Path | None:
    """Train until the budget is used up, resuming whatever the run folder holds.

    Where `torchrun` started several processes, each calls this; all need the run folder.
    Returns the folder of the best checkpoint, or None if a signal ended the run early (its state
    is saved; the same command goes on). Raises ConfigError, CorpusError, ResumeError,
    RunLockedError, TrainingError, RankError or OSError.
    """
    keep_freed_memory()
    placement = place(config.training.device, config.training.precision)
    with (
        stop_signals() as stop,
        all_ranks(config.training.rank_timeout) as ranks,
        ExitStack() as held,
    ):
        store = ResumeStore(config.run / "resume")
        quiet = console if ranks.first else Console(quiet=True)

        def begin() -> dict[str, Any] | None:
            held.enter_context(run_lock(config.run))
            with stop.abandoning():
                return _begin(
                    config, store, quiet, None if allow_world_size_change else ranks.world
                )

        try:
            state = ranks.on_first(begin)
        except Interrupted:
            quiet.print("Stopped before training began; the same command starts again.")
            return None
        if state is not None:
            state["world"] = ranks.world
        prepared = load_prepared(config)
        run = _Run(
            config, prepared, store, placement, ranks, stop, quiet, resuming=state is not None
        )
        return run.train(state)


def _begin(
    config: TrainingConfig, store: ResumeStore, console: Console, world: int | None
) -> dict[str, Any] | None:
    """Prepare the corpus and return the state to go on from, once it is known to fit."""
    state, complaints = store.load()
    for complaint in complaints:
        console.print(f"[yellow]{escape(complaint)}; going back to the save before[/yellow]")
    # Before an hour is spent on preparing the corpus.
    for folder in config.validation.gold_align:
        read_gold(folder, reverse=config.data.reverse)
    if state is None and config.training.start_from is not None:
        starting_checkpoint(config.training.start_from, config.model)
    components = data_components(config)
    if state is not None:
        check_resumable(
            state, config, components, state.get("world", 1) if world is None else world
        )
    prepare(config, console, components)
    return state


class _Run:
    def __init__(
        self,
        config: TrainingConfig,
        prepared: Prepared,
        store: ResumeStore,
        placement: Placement,
        ranks: Ranks,
        stop: StopSignals,
        console: Console,
        *,
        resuming: bool,
    ) -> None:
        self._config = config
        self._prepared = prepared
        self._store = store
        self._ranks = ranks
        self._stop = stop
        self._stopped = False
        self._console = console
        self._placement = placement
        self._trainer = Trainer(
            config, prepared, placement, ranks, console.print, resuming=resuming
        )
        self._validate = Validator(config, prepared, placement)
        self._divergence = Divergence(config.model.target_vocabulary_size)
        self._failed_writes = 0

    def train(self, state: dict[str, Any] | None) -> Path | None:
        self._start(state)
        trainer = self._trainer
        with self._reporter() as reporter:
            if self._validation_is_missing():
                self._measure(reporter)
                self._save()
            self._stopped = self._is_to_stop()
            while not (trainer.finished or self._stopped):
                try:
                    self._update_until_stopped(reporter)
                except NonFiniteError as error:
                    self._roll_back(error)
        if self._stopped and (self._validation_is_missing() or not trainer.finished):
            self._console.print(
                f"Stopped at step {trainer.position.step:,}; the same command goes on."
            )
            return None
        if self._validation_is_missing():
            raise TrainingError("the last checkpoint was not written; the same command tries again")
        if trainer.position.best_step == 0:
            raise TrainingError("no validation had a finite loss, so there is no checkpoint")
        return self._config.checkpoint_folder

    def _reporter(self) -> AbstractContextManager[Reporter | None]:
        if not self._ranks.first:
            return nullcontext()
        return Reporter(self._console, self._config.run, self._trainer.total_steps)

    def _update_until_stopped(self, reporter: Reporter | None) -> None:
        trainer, every = self._trainer, self._config.training.save_every_steps
        for update in trainer.updates():
            saved = False
            if reporter is not None:
                reporter.update(trainer.position, update)
            self._divergence.watch(trainer.position.step, update)
            self._stopped = self._is_to_stop()
            if self._validation_is_missing():
                self._measure(reporter)
                saved = self._save()
                self._stopped = self._is_to_stop()
            elif self._stopped or trainer.position.step % every == 0:
                saved = self._save()
                self._stopped = self._is_to_stop()  # a signal in the midst of saving
            if self._stopped:
                if not (saved or self._save()):
                    raise TrainingError("stopped, but the last updates could not be saved")
                return

    def _is_to_stop(self) -> bool:
        return self._ranks.any(self._stop() or self._ranks.orphaned)

    def _start(self, state: dict[str, Any] | None) -> None:
        parameters = sum(p.numel() for p in self._trainer.model.parameters())
        self._console.print(
            f"{parameters / 1e6:.1f} million parameters on {self._placement.device}, products in "
            f"{'bfloat16' if self._placement.bfloat16 else 'float32'}"
            + (f", {self._ranks.world} processes" if self._ranks.world > 1 else "")
        )
        if self._trainer.started_from is not None:
            told = f"Beginning with the weights of {self._trainer.started_from}"
            self._console.print(told, markup=False)
        if note := note_on_warm_up(self._trainer.total_steps, self._config.training):
            self._console.print(f"[yellow]Note:[/yellow] {note}")
        if state is None:
            self._save()  # a disk that is full says so now; and there is something to go back to
        else:
            self._trainer.restore(state)
            self._console.print(f"Going on from step {self._trainer.position.step:,}")

    def _roll_back(self, error: NonFiniteError) -> None:
        """Go on from the last saved state with half the learning rate, or raise `error`."""
        state, _ = self._ranks.on_first(self._store.load)
        if state is None or self._trainer.position.rollbacks == ROLLBACKS:
            raise error
        state["world"] = self._ranks.world  # another number was allowed, or it is the same
        self._trainer.roll_back(state)
        self._console.print(
            f"[red]{escape(str(error))}[/red]\n"
            f"Going back to step {self._trainer.position.step:,}, on with half the learning rate "
            f"({self._trainer.position.rollbacks} of {ROLLBACKS} times)"
        )

    def _validation_is_missing(self) -> bool:
        """Whether the updates so far are to be validated and are not, a stopped one included."""
        every, position = self._config.training.validate_every_steps, self._trainer.position
        if position.validated == position.step:
            return False
        due = position.step % every == 0 if every is not None else position.batch == 0
        return due or self._trainer.finished

    def _measure(self, reporter: Reporter | None) -> None:
        """Validate, unless a signal comes first; the best weights become the checkpoint."""
        loss = self._ranks.on_first(lambda: self._measured(reporter))
        if loss is not None:
            self._trainer.record(loss)

    def _measured(self, reporter: Reporter | None) -> float | None:
        assert reporter is not None
        try:
            with self._stop.abandoning():
                validation = self._validate(self._trainer.averaged_model)
        except Interrupted:
            return None
        best = self._trainer.improves(validation.loss)
        if best and not self._written(lambda: self._write_checkpoint(validation)):
            return None
        reporter.validation(self._trainer.position, validation, best=best)
        return validation.loss

    def _save(self) -> bool:
        """Save the state; False if it could not be.

        Not in the midst of updates that are not finite: it would be nothing to go back to.
        """
        position = self._trainer.position
        if position.skipped_in_a_row and not self._stopped:
            return True
        state = self._trainer.state()
        return self._ranks.on_first(
            lambda: self._written(lambda: self._store.save(position.step, state))
        )

    def _written(self, write: Callable[[], object]) -> bool:
        """Whether a write succeeded; a disk that refuses is told and borne, but not for ever."""
        try:
            write()
        except (OSError, CheckpointError) as error:
            self._failed_writes += 1
            message = str((isinstance(error, OSError) and error.strerror) or error)
            if self._failed_writes == WRITES_TRIED:
                raise TrainingError(f"{message}; failed {WRITES_TRIED} times in a row") from error
            self._console.print(
                f"[red]{escape(message)}[/red]; training goes on, trying again later"
            )
            return False
        self._failed_writes = 0
        return True

    def _write_checkpoint(self, validation: Validation) -> None:
        config, scores = self._config, validation.scores
        metrics: dict[str, Any] = {
            "loss": validation.loss,
            "bleu": scores.bleu,
            "chrf": scores.chrf,
            "signature": scores.signature,
            "pairs": len(self._prepared.validation_pairs(config.validation.max_pairs)),
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
                "settings": self._trainer.settings_told,
            },
            metrics=metrics,
            card=model_card(
                config, self._prepared, metrics, started_from=self._trainer.started_from
            ),
        )
