"""Beam search as a table of rows that sentences join and leave between steps.

The state of a recurrent decoder has a fixed size, so a row of the table (one hypothesis) does not
care how far its neighbours are. One mechanism therefore serves a plain batch (all join, then step
until the table is empty) and continuous batching (join whenever there is room). Every sentence has
its own options; none of them changes the result of another sentence.

The rule of the beam is the classical one (Sutskever et al. 2014, section 3.2): a hypothesis whose
newest token is EOS leaves the beam and takes its place with it, so that a beam of K gives K
hypotheses and the table shrinks as they end. A sentence also ends as soon as its n-best finished
hypotheses cannot be beaten any more. That bound is exact: a log-probability only falls, the length
penalty divides it by at most lp(max_length), and the coverage penalty is never positive.

A sentence may come with its target. Then there is nothing to search: its one row follows that
target, beside the rows of searched sentences, and what comes out is what teacher forcing gives.

No two hypotheses of a sentence have the same tokens, since each extends its parent by a token of
its own. Different segmentations of the same text are different hypotheses here.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import count
from typing import Generic

import numpy as np
import torch
from jaxtyping import Bool, Int

from model.batch import SentenceBatch, pad_sentences
from model.beam import Extension, extend, never_produced
from model.decoder import Step
from model.head_weights import head_keys, look_back
from model.hypothesis import Ending, Hypothesis, SearchOptions, best_first, score
from model.ranking import CANDIDATES, Candidates, candidates, prescribe
from model.repetition import most_repeated
from model.restriction import restrict
from model.search_events import Event, Failed, Finished, Progress, SearchRequest
from model.step_model import M, StepModel
from model.table import Columns, Rows, Sentence, Table
from model.trellis import Trellis

CPU = torch.device("cpu")


class BeamSearch(Generic[M]):
    """The table, with what moves it on. Not thread-safe: one thread admits, steps and cancels."""

    def __init__(self, model: StepModel[M], device: torch.device = CPU) -> None:
        config = model.config
        self._model = model
        self._device = device
        self._pad_id, self._bos_id, self._eos_id = config.pad_id, config.bos_id, config.eos_id
        self._banned = never_produced(config)
        self._slots = count()
        self._table: Table[M] | None = None
        self._trellis = Trellis()

    def __len__(self) -> int:
        """Live sentences."""
        return len(self._table.sentences) if self._table else 0

    @property
    def rows(self) -> int:
        """Live hypotheses, the batch of the next step."""
        return self._table.rows.inputs.shape[0] if self._table else 0

    @property
    def slots(self) -> list[int]:
        """The slots of the live sentences."""
        return self._table.slots() if self._table else []

    @property
    def stored_nodes(self) -> int:
        """Tokens that the search remembers at this moment."""
        return len(self._trellis)

    @torch.inference_mode()
    def admit(self, requests: Sequence[SearchRequest]) -> list[int]:
        """Encode sentences in one padded batch and give each a row; returns their slots.

        A slot names a sentence in events and in `cancel`; it is never used again. Raises ValueError
        if head weights are asked of a network without an alignment head.
        """
        batch = pad_sentences([request.source for request in requests], self._pad_id)
        batch = batch.to(self._device)
        memory, state = self._model.encode(batch.ids, batch.lengths)
        sentences = [
            Sentence(
                next(self._slots),
                len(request.source),
                request.options,
                request.stream,
                most_repeated(request.source),
                target=request.target,
            )
            for request in requests
        ]
        for index, (sentence, request) in enumerate(zip(sentences, requests, strict=True)):
            if request.head:
                source = batch.ids[index, : sentence.source_length]
                sentence.head_keys = head_keys(self._model, memory, index, source)
        admitted = Table(
            sentences,
            Columns.of(sentences),
            Rows.first(state, self._bos_id),
            memory,
        )
        if self._table is None:
            self._table = admitted
        else:
            self._table.join(admitted)
        return [sentence.slot for sentence in sentences]

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Move every live hypothesis on by one token; gives what happened, nothing if empty."""
        events: list[Event] = []
        while self._table is not None:
            table = self._table
            rows, widest = table.rows, table.widest
            step = self._model.step(*rows.on_device(), table.attended())
            options = candidates(step.logits, self._banned, max(CANDIDATES, widest), step.exact)
            finite = np.isfinite(options.log_probs.max(axis=1))
            if finite.all():
                options = self._prescribe(table, step, self._restrict(table, step, options))
                extension = extend(
                    rows.log_probs, options, table.layout(), table.columns.widths, widest
                )
                return events + self._advance(table, extension, step)
            # Rows do not touch each other: without the failed sentences the step is made again.
            events += self._fail(table, rows.sentences[~finite])
        return events

    @torch.inference_mode()
    def probe(self, slots: Collection[int]) -> None:
        """Run the network's part of the next step for these sentences alone, and change nothing.

        Raises whatever the network raises; so tells which sentences made `step` fail.
        """
        if self._table is not None:
            columns = [sentence.slot in slots for sentence in self._table.sentences]
            self._model.step(*self._table.inputs_of(np.array(columns)))

    @torch.inference_mode()
    def cancel(self, slot: int) -> bool:
        """Free a sentence's rows at once; False if it is not in the table (any more)."""
        if self._table is None or slot not in self._table.slots():
            return False
        others = [slot != other for other in self._table.slots()]
        self._keep(np.array(others))
        return True

    def _keep(self, kept: Bool[np.ndarray, " B"]) -> None:
        """Drop the other sentences; the table is gone with the last."""
        assert self._table is not None
        if kept.any():
            self._table.keep(kept)
        else:
            self._table = None
            self._trellis = Trellis()

    def _fail(self, table: Table[M], columns: Int[np.ndarray, " F"]) -> list[Event]:
        """Drop sentences that have a row without probabilities."""
        kept = np.ones(len(table.sentences), dtype=np.bool_)
        kept[columns] = False
        failed = (~kept).nonzero()[0].tolist()
        events: list[Event] = [
            Failed(table.sentences[column].slot, "the network gave no finite probability")
            for column in failed
        ]
        self._keep(kept)
        return events

    def _restrict(self, table: Table[M], step: Step, options: Candidates) -> Candidates:
        """Leave out continuations that no hypothesis may have."""
        rows, columns = table.rows, table.columns
        return restrict(
            options,
            step,
            rows.past,
            self._model.spelling,
            columns.run_lengths[rows.sentences],
            columns.run_limits[rows.sentences],
        )

    def _prescribe(self, table: Table[M], step: Step, options: Candidates) -> Candidates:
        """Leave sentences that follow a given target only its next token."""
        forced = [column for column, one in enumerate(table.sentences) if one.target is not None]
        if not forced:
            return options
        rows = table.layout().first_rows[forced]
        return prescribe(options, step.logits, rows, table.prescribed(forced), step.exact)

    def _advance(self, table: Table[M], extension: Extension, step: Step) -> list[Event]:
        """Put the extended hypotheses in the table; those that end leave it."""
        nodes = self._record(table, extension, step)
        table.columns = table.columns.older()
        at_eos = extension.tokens == self._eos_id
        cut = table.columns.ages >= table.columns.longest
        ended = at_eos | cut.take(extension.sentences)
        rows = table.rows.extended(extension, step.state, nodes)
        if ended.any():
            self._end(table, extension, nodes, ended, at_eos)
            rows = rows.select(~ended)
        table.replace_rows(rows)
        return self._finish_settled(table) + self._progress()

    def _finish_settled(self, table: Table[M]) -> list[Event]:
        """Take out the sentences that have come to their end."""
        if not any(sentence.endings for sentence in table.sentences):
            return []
        settled = table.settled()
        columns = settled.nonzero()[0].tolist()
        events = [self._finish(table.sentences[column]) for column in columns]
        if events:
            self._keep(~settled)
        return events

    def _record(self, table: Table[M], extension: Extension, step: Step) -> list[int]:
        """Write the new rows into the trellis; gives their nodes."""
        parents = extension.parents.tolist()
        if not self._trellis.fits(len(parents)):
            table.rename(self._trellis.collect(table.nodes()))
            self._trellis.make_room(len(parents))
        return self._trellis.extend(
            [table.rows.nodes[parent] for parent in parents],
            extension.tokens.tolist(),
            extension.token_log_probs.tolist(),
            extension.inherited(step.weights),
            extension.inherited(step.state) if table.wants_states else None,
        )

    def _end(
        self,
        table: Table[M],
        extension: Extension,
        nodes: list[int],
        ended: Bool[np.ndarray, " N"],
        at_eos: Bool[np.ndarray, " N"],
    ) -> None:
        """Note the hypotheses that end; each takes its place in the beam with it."""
        widths = table.columns.widths - np.bincount(
            extension.sentences[ended], minlength=len(table.sentences)
        )
        bars = table.columns.bars.copy()
        rows = ended.nonzero()[0]
        columns, log_probs = extension.sentences[rows], extension.log_probs[rows]
        for row, column, log_prob, finished in zip(
            rows.tolist(), columns.tolist(), log_probs.tolist(), at_eos[rows].tolist(), strict=True
        ):
            sentence = table.sentences[column]
            sentence.endings.append(self._ending(sentence, nodes[row], log_prob, finished=finished))
            bars[column] = sentence.bar()
        table.columns = replace(table.columns, widths=widths, bars=bars)

    def _ending(self, sentence: Sentence, node: int, log_prob: float, *, finished: bool) -> Ending:
        weights = None
        if sentence.options.coverage_penalty:  # nothing else asks for them while rows end
            weights = self._trellis.path(node, sentence.source_length).weights
        length = self._trellis.length(node)
        return Ending(node, log_prob, score(log_prob, length, weights, sentence.options), finished)

    def _finish(self, sentence: Sentence) -> Event:
        """The n-best of a sentence that has come to its end."""
        best = best_first(sentence.endings)[: sentence.options.n_best]
        return Finished(
            sentence.slot, [self._hypothesis(sentence, ending, is_whole=True) for ending in best]
        )

    def _hypothesis(self, sentence: Sentence, ending: Ending, *, is_whole: bool) -> Hypothesis:
        path = self._trellis.path(ending.node, sentence.source_length)
        head_weights = (
            None
            if sentence.head_keys is None
            else look_back(
                self._model,
                path.states,
                path.tokens,
                sentence.head_keys,
                path.weights,
                is_whole=is_whole,
            )
        )
        return Hypothesis(
            path.tokens,
            ending.log_prob,
            path.token_log_probs,
            ending.score,
            path.weights,
            ending.finished,
            head_weights,
        )

    def _progress(self) -> list[Event]:
        """How far each streamed sentence is."""
        table = self._table
        if table is None or not any(sentence.stream for sentence in table.sentences):
            return []
        events: list[Event] = []
        log_probs = table.rows.log_probs.tolist()
        ends = table.layout().counts.cumsum(0).tolist()
        for sentence, first, last in zip(table.sentences, [0, *ends], ends, strict=False):
            if sentence.stream:
                nodes = table.rows.nodes[first:last]
                best = self._ending(sentence, nodes[0], log_probs[first], finished=False)
                finished = [ending.node for ending in best_first(sentence.endings)[:1]]
                stable = self._trellis.agreement(nodes + finished)
                hypothesis = self._hypothesis(sentence, best, is_whole=False)
                events.append(Progress(sentence.slot, hypothesis, stable))
        return events


class SearchError(Exception):
    """A network gave no finite probability; names the sentence."""


def beam_search(
    model: StepModel[M], batch: SentenceBatch, options: SearchOptions | None = None
) -> list[list[Hypothesis]]:
    """The n-best hypotheses of each sentence, best first.

    A beam of one is greedy search. Raises SearchError if the network's probabilities are not
    finite, which a sound checkpoint never gives.
    """
    table = BeamSearch(model, batch.ids.device)
    options = options or SearchOptions()
    slots = table.admit(
        [
            SearchRequest(tuple(ids[:length]), options)
            for ids, length in zip(batch.ids.tolist(), batch.lengths.tolist(), strict=True)
        ]
    )
    results: dict[int, list[Hypothesis]] = {}
    while len(table):
        for event in table.step():
            if isinstance(event, Failed):
                raise SearchError(f"sentence {slots.index(event.slot)}: {event.reason}")
            if isinstance(event, Finished):
                results[event.slot] = event.hypotheses
    return [results[slot] for slot in slots]
