"""The training loop: fetch, forward, backward, clip, step, report."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any
from warnings import warn

import torch
from torch import nn

from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer
from training.average import moving_average
from training.batches import BatchPlan, TrainingBatch
from training.captured import MULTIPLE, CapturedPasses, CudaGraphs, Pass
from training.config import TrainingConfig
from training.memory import return_fragments
from training.passes import Passes
from training.precision import Placement
from training.prepare import Prepared
from training.ranks import Ranks
from training.resume import check_resumable, resumable_settings
from training.schedule import learning_rate
from training.starting_weights import start_from

UPDATES_BETWEEN_RETURNS = 50
"""Updates after which free memory goes back to the system."""

PATIENCE_WITH_NON_FINITE = 3
"""Updates in a row that are skipped for a loss or gradient that is not finite before it is said."""

SEED_STEP = 1_000_003
"""Between the seeds of the random generators of two ranks."""
RATE_AFTER_ROLLBACK = 0.5
"""What the learning rate is multiplied with each time training has gone back."""


class TrainingError(Exception):
    """Training that cannot go on; says at which step, on which pairs, and what to change."""


class NonFiniteError(TrainingError):
    """Loss or gradient not finite several times in a row: `Trainer.roll_back` may help."""


@dataclass(slots=True)
class Position:
    """Where training stands; all of it is in the resume state."""

    step: int = 0
    """Updates made or skipped."""
    epoch: int = 0
    """Whole passes over the corpus."""
    batch: int = 0
    """Batches taken from the current epoch."""
    best_loss: float = math.inf
    """Lowest validation loss so far."""
    best_step: int = 0
    """Step of that validation."""
    stale: int = 0
    """Validations since then."""
    validated: int = 0
    """Step of the last validation."""
    skipped: int = 0
    """Updates skipped because loss or gradient was not finite."""
    skipped_in_a_row: int = 0
    """Of these, the latest ones."""
    rollbacks: int = 0
    """How often training went back to an earlier state because of them."""
    clipped: int = 0
    """Updates whose gradient was scaled down."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update did."""

    loss: float
    """Mean negative log-likelihood of a target token, in nats."""
    tokens: int
    """Target tokens learned from."""
    gradient_norm: float
    """Before clipping; not finite if the update was skipped."""
    learning_rate: float
    seconds: float


class Trainer:
    """One network in training, with all its state."""

    def __init__(
        self,
        config: TrainingConfig,
        prepared: Prepared,
        placement: Placement,
        ranks: Ranks | None = None,
        say: Callable[[str], object] = warn,
        *,
        resuming: bool = False,
    ) -> None:
        """With `resuming`, `restore` comes next, and where the run began need not be there."""
        self.config = config
        self._ranks = ranks or Ranks()
        self.position = Position()
        self._settings = config.training
        self._prepared = prepared
        self._placement = placement
        if self._settings.threads:
            torch.set_num_threads(self._settings.threads)
        torch.manual_seed(self._settings.seed)
        self.model = Seq2Seq(config.model)
        self.started_from: str | None = None
        """Name and digest of the checkpoint whose weights the run began with."""
        if self._settings.start_from is not None and not resuming:
            self.started_from = start_from(
                self._settings.start_from,
                self.model,
                Tokenizer(prepared.source_spm),
                Tokenizer(prepared.target_spm),
            )
        self.model.to(placement.device)
        passes = Passes(self.model, config, placement, self._ranks)
        if not self._ranks.first:
            # All begin with the same weights, but drop different units.
            torch.manual_seed(self._settings.seed + SEED_STEP * self._ranks.rank)
        self.average = moving_average(self.model, self._settings.ema_decay)
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self._settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=self._settings.weight_decay,
            fused=True,
        )
        self.plan = BatchPlan(
            dataset=prepared.train,
            max_batch_tokens=self._settings.max_batch_tokens,
            seed=self._settings.seed,
            pad_id=config.model.pad_id,
            bos_id=config.model.bos_id,
            joined_share=self._settings.joined_share,
            joined_pieces=self._settings.joined_pieces,
            multiple=MULTIPLE if self._settings.cuda_graphs else 1,
            rank=self._ranks.rank,
            world=self._ranks.world,
        )
        self._passes = self._recorded(passes, say) if self._settings.cuda_graphs else passes
        self.total_steps = self._settings.max_steps or sum(
            len(self.plan.epoch(epoch)) for epoch in range(self._settings.max_epochs or 0)
        )

    def _recorded(self, passes: Passes, say: Callable[[str], object]) -> Pass:
        device = self._placement.device
        if device.type != "cuda" or self._ranks.world > 1:
            say("training.cuda_graphs is for one process on a GPU: training goes on without")
            return passes
        return CapturedPasses(passes, self.model, self.plan, device, CudaGraphs(device), say)

    @property
    def averaged_model(self) -> Seq2Seq:
        """The network with the averaged weights: what is validated and shipped."""
        averaged = self.average.module
        assert isinstance(averaged, Seq2Seq)
        return averaged

    @property
    def settings_told(self) -> dict[str, Any]:
        """The settings of `[training]` for a manifest.

        Where the weights it began with lie is this machine's business; which they are is not.
        """
        settings: dict[str, Any] = self.config.as_dict()["training"]
        return settings | {"start_from": self.started_from}

    @property
    def finished(self) -> bool:
        """Whether the configured budget is used up or patience has run out."""
        settings, position = self._settings, self.position
        if settings.patience is not None and position.stale >= settings.patience:
            return True
        if settings.max_steps is not None:
            return position.step >= settings.max_steps
        return settings.max_epochs is not None and position.epoch >= settings.max_epochs

    def updates(self) -> Iterator[Update]:
        """Train until finished, yielding after every update; `position` is then up to date.

        Raises NonFiniteError when too many updates in a row were not finite.
        """
        while not self.finished:
            epoch = self.plan.epoch(self.position.epoch)
            for number in range(self.position.batch, len(epoch)):
                update = self.learn(self.plan.batch(epoch[number]))
                self._move_on(len(epoch))
                if self.position.step % UPDATES_BETWEEN_RETURNS == 0:
                    return_fragments()
                yield update
                if self.finished:
                    return

    def _move_on(self, batches_in_epoch: int) -> None:
        self.position.step += 1
        self.position.batch += 1
        if self.position.batch == batches_in_epoch:
            self.position.epoch += 1
            self.position.batch = 0

    def learn(self, batch: TrainingBatch) -> Update:
        """One update from one batch; `position` does not move."""
        started = time.perf_counter()
        rate = learning_rate(self.position.step, self.total_steps, self._settings)
        rate *= RATE_AFTER_ROLLBACK**self.position.rollbacks
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        self.optimizer.zero_grad(set_to_none=not self._settings.cuda_graphs)
        likelihood, count = self._passes(batch).tolist()
        tokens = max(1, int(count))
        norm = self._clip()
        if math.isfinite(norm):
            self.optimizer.step()
            self.average.update_parameters(self.model)
            self.position.skipped_in_a_row = 0
        else:
            self._skip(batch)
        return Update(likelihood / tokens, tokens, norm, rate, time.perf_counter() - started)

    def _clip(self) -> float:
        """Scale gradients to the configured norm (Pascanu et al. 2013, algorithm 1).

        Returns the norm before; gradients that are not finite are left alone, since scaling them
        would only spread the NaN.
        """
        norm = nn.utils.get_total_norm(
            [p.grad for p in self.model.parameters() if p.grad is not None]
        )
        limit = self._settings.clip_norm
        if limit and math.isfinite(norm) and norm > limit:
            nn.utils.clip_grads_with_norm_(self.model.parameters(), limit, norm)
            self.position.clipped += 1
        return float(norm)

    def _skip(self, batch: TrainingBatch) -> None:
        self.position.skipped += 1
        self.position.skipped_in_a_row += 1
        if self.position.skipped_in_a_row >= PATIENCE_WITH_NON_FINITE:
            raise NonFiniteError(
                f"step {self.position.step}: loss or gradient not finite for "
                f"{self.position.skipped_in_a_row} updates in a row, last on training pairs "
                f"{list(batch.indices[:8])}…; lower training.learning_rate "
                f"({self._settings.learning_rate}) or clip_norm ({self._settings.clip_norm})"
            )

    def roll_back(self, state: dict[str, Any]) -> None:
        """Go back to an earlier `state` of this run, and on from there with half the learning rate.

        What was skipped and what was best stay as they are.
        """
        now = self.position
        self.restore(state)
        self.position = replace(
            self.position,
            best_loss=now.best_loss,
            best_step=now.best_step,
            skipped=now.skipped,
            skipped_in_a_row=0,
            rollbacks=now.rollbacks + 1,
        )

    def improves(self, loss: float) -> bool:
        """Whether a validation is the best so far. A NaN loss never is."""
        return loss < self.position.best_loss

    def record(self, loss: float) -> bool:
        """Note a validation; True if it is the best so far."""
        self.position.validated = self.position.step
        if self.improves(loss):
            self.position.best_loss = loss
            self.position.best_step = self.position.step
            self.position.stale = 0
            return True
        self.position.stale += 1
        return False

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs, as tensors and plain values; for all ranks, on rank 0."""
        random = {"cpu": torch.get_rng_state()}
        if self._placement.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self._placement.device)
        return {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "position": asdict(self.position),
            "random": random,
            "random_of_others": self._ranks.gather(random)[1:],
            "world": self._ranks.world,
            "data": self._prepared.fingerprint,
            "components": self._prepared.components,
            "settings": resumable_settings(self.config),
            "started_from": self.started_from,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; ResumeError, with what differs, if it is of another run."""
        check_resumable(state, self.config, self._prepared.components, self._ranks.world)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.position = Position(**state["position"])
        self.started_from = state.get("started_from", self.started_from)
        generators = [state["random"], *state.get("random_of_others", [])]
        if self._ranks.rank < len(
            generators
        ):  # else it joined later, and keeps those it began with
            random = generators[self._ranks.rank]
            torch.set_rng_state(random["cpu"])
            if self._placement.device.type == "cuda":
                torch.cuda.set_rng_state(random["cuda"], self._placement.device)
