"""Trains one variant of a comparison with its budget, resuming where it was stopped, and scores it.

A variant's folder holds its resume state while it trains, then `checkpoint/` (it can be served),
`translations.txt` and, last of all, `result.json`: with that file, the variant is finished.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.checkpoint import load_checkpoint, save_checkpoint
from model.hypothesis import SearchOptions
from model.tokenizer import Tokenizer
from training.card import model_card
from training.evaluation import Evaluation, Translated, evaluate
from training.precision import place
from training.prepare import Prepared
from training.resume import ResumeStore, write_durably
from training.schedule import note_on_warm_up
from training.textbook.course import Course
from training.textbook.lengths import ALL, LengthScores, score_by_length
from training.textbook.results import Failure, Result
from training.textbook.variants import Variant
from training.trainer import Trainer, TrainingError
from training.validation import Validator

POINTS = 10
"""Measurements on the way of each variant, evenly spaced over its budget."""


class VariantRun:
    """One variant in its folder."""

    def __init__(
        self, variant: Variant, prepared: Prepared, folder: Path, console: Console
    ) -> None:
        self.variant = variant
        self.folder = folder
        self._prepared = prepared
        self._console = console

    @property
    def note(self) -> str | None:
        """What is to be said of its budget before it is trained."""
        training = self.variant.config.training
        return note_on_warm_up(training.max_steps or 0, training)

    def finished(self) -> Result | Failure | None:
        """What an earlier call found, if it came to an end."""
        path = self.folder / "result.json"
        if not path.exists():
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        return Failure(**values) if "reason" in values else Result.from_dict(values)

    def translations(self) -> list[str]:
        """Its translations of the validation pairs that were scored."""
        text = (self.folder / "translations.txt").read_text(encoding="utf-8")
        return text.removesuffix("\n").split("\n")

    def run(self, stop_requested: Callable[[], bool]) -> Result | Failure | None:
        """Train to the end of the budget and score; None if stopped on the way, state saved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        variant = self.variant
        placement = place(variant.config.training.device, variant.config.training.precision)
        trainer = Trainer(variant.config, self._prepared, placement)
        training = _Training(trainer, Validator(variant.config, self._prepared, placement))
        try:
            if not training.run(ResumeStore(self.folder / "resume"), stop_requested, self._bar()):
                return None
            found: Result | Failure = self._score(trainer, training.course)
        except TrainingError as error:
            found = Failure(variant.label, variant.choices, str(error))
        self._write("result.json", json.dumps(asdict(found), indent=1, ensure_ascii=False))
        shutil.rmtree(self.folder / "resume", ignore_errors=True)
        return found

    def _score(self, trainer: Trainer, course: Course) -> Result:
        config = self.variant.config
        metrics = {"loss": course.points[-1].validation_loss}
        save_checkpoint(
            self.folder / "checkpoint",
            model=trainer.averaged_model,
            source_tokenizer=Tokenizer(self._prepared.source_spm),
            target_tokenizer=Tokenizer(self._prepared.target_spm),
            source_language=config.data.source_language,
            target_language=config.data.target_language,
            training={
                "step": trainer.position.step,
                "data": self._prepared.fingerprint,
                "settings": trainer.settings_told,
            },
            metrics=metrics,
            card=model_card(config, self._prepared, metrics, started_from=trainer.started_from),
        )
        evaluation, translated = self._evaluate()
        self._write(
            "translations.txt",
            "".join(item.translation.replace("\n", " ") + "\n" for item in translated),
        )
        position = trainer.position
        summary = evaluation.as_dict()
        return Result(
            label=self.variant.label,
            choices=self.variant.choices,
            parameters=sum(p.numel() for p in trainer.model.parameters()),
            steps=position.step,
            tokens=course.tokens,
            clipped=position.clipped / position.step,
            skipped=position.skipped,
            points=course.points,
            loss=evaluation.overall.loss,
            bleu=evaluation.overall.scores.bleu,
            chrf=evaluation.overall.scores.chrf,
            signature=evaluation.overall.scores.signature,
            by_length=self._by_length(translated),
            aer=summary.get("aer"),
        )

    def _evaluate(self) -> tuple[Evaluation, list[Translated]]:
        config = self.variant.config
        checkpoint = load_checkpoint(self.folder / "checkpoint")
        checkpoint.model.to(place(config.training.device, config.training.precision).device)
        with self._bar() as progress:
            return evaluate(
                checkpoint,
                self._prepared.validation_pairs(config.validation.max_pairs),
                config.validation.gold_align,
                search=SearchOptions(beam_size=config.validation.beam_size),
                progress=progress,
                reverse_gold=config.data.reverse,
            )

    def _by_length(self, translated: list[Translated]) -> dict[str, list[LengthScores]]:
        tokenizer = Tokenizer(self._prepared.source_spm)
        origins = sorted({item.pair.origin for item in translated})
        groups = {ALL: translated}
        if len(origins) > 1:
            groups |= {
                origin: [item for item in translated if item.pair.origin == origin]
                for origin in origins
            }
        return {
            name: score_by_length(
                [len(tokenizer.encode(item.pair.source)) for item in group],
                [item.translation for item in group],
                [item.pair.target for item in group],
                self.variant.config.data.target_language,
            )
            for name, group in groups.items()
        }

    def _write(self, name: str, text: str) -> None:
        write_durably(self.folder / name, text.encode())

    def _bar(self) -> Progress:
        return Progress(
            TextColumn(self.variant.label),
            TextColumn("{task.description}"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=True,
        )


class _Training:
    """The loop of one variant: updates, points on the curve, resume state."""

    def __init__(self, trainer: Trainer, validator: Validator) -> None:
        self._trainer = trainer
        self._validator = validator
        self.course = Course()

    def run(
        self, store: ResumeStore, stop_requested: Callable[[], bool], progress: Progress
    ) -> bool:
        """Train until the budget is used up; False if a signal came first. Both save the state."""
        self._restore(store)
        trainer = self._trainer
        total = trainer.total_steps
        with progress:
            task = progress.add_task("updates", total=total, completed=trainer.position.step)
            for update in trainer.updates():
                self.course.add(update)
                step = trainer.position.step
                progress.update(task, completed=step)
                is_point = step * POINTS // total > (step - 1) * POINTS // total
                if is_point:
                    self.course.mark(step, self._validator.loss(trainer.averaged_model))
                stops = stop_requested()  # once: what comes after it is heard at the next update
                if is_point or stops or step % trainer.config.training.save_every_steps == 0:
                    self._save(store)
                if stops and not trainer.finished:
                    return False
        return True

    def _restore(self, store: ResumeStore) -> None:
        state, _ = store.load()
        if state is not None:
            self._trainer.restore(state["trainer"])
            self.course = Course.from_dict(state["course"])

    def _save(self, store: ResumeStore) -> None:
        state = {"trainer": self._trainer.state(), "course": self.course.as_dict()}
        store.save(self._trainer.position.step, state)
