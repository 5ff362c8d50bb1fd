"""The seam between the search and a network: what any network must offer to be searched."""

from typing import Protocol, TypeVar, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

from model.config import ModelConfig
from model.decoder import Step
from model.spelling import Spelling

Own = TypeVar("Own")


@runtime_checkable
class SourceMemory(Protocol):
    """What a network remembers of B source sentences; only the network itself looks inside.

    After `join` or `keep` the memory they were called on must not be used any more: a network is
    free to change it in place.
    """

    def select(self: Own, rows: Int[Tensor, " R"]) -> Own:
        """The memory as rows of these sentences (ascending) attend to it in `StepModel.step`.

        A network is free to note whose row each is and copy nothing.
        """
        ...

    def join(self: Own, other: Own) -> Own:
        """The memory of these and then the other's sentences, padded to the longer source."""
        ...

    def keep(self: Own, sentences: Int[Tensor, " B"]) -> Own:
        """The memory of these sentences (ascending) alone; what the others took is free."""
        ...


M = TypeVar("M", bound=SourceMemory)


@runtime_checkable
class StepModel(Protocol[M]):
    """All that the search sees of a network."""

    config: ModelConfig
    spelling: Spelling | None
    """How target pieces that are bytes may follow each other; None where that is not known."""

    def encode(
        self, source: Int[Tensor, "B S"], lengths: Int[Tensor, " B"]
    ) -> tuple[M, Float[Tensor, "B Z"]]:
        """Memory and initial decoder state of B sentences, each ended by EOS."""
        ...

    def step(self, inputs: Int[Tensor, " R"], state: Float[Tensor, "R Z"], memory: M) -> Step:
        """One step of R rows, given the last token of each; `memory` holds R sentences."""
        ...
