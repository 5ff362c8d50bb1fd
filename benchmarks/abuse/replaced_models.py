"""G: models are put in the place of others, also while callers translate."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from benchmarks.abuse.artefacts import WEIGHTS, damage, refusal, restate
from benchmarks.abuse.bench import Bench
from benchmarks.abuse.cases import case, require
from benchmarks.abuse.service import KNOWN_TEXT, Service
from model.checkpoint import load_checkpoint
from model.seq2seq import Seq2Seq
from tests.app.conftest import write_checkpoint

CALLERS = 8
BROKEN, SWITCHES = 5, 10
"""How often a model is activated under load."""


@dataclass
class Load:
    """Callers who translate the known text all the time, and what they got."""

    statuses: Counter[int] = field(default_factory=Counter)
    answers: list[tuple[str, Any]] = field(default_factory=list)
    """The digest that an answer names, and all that the model said: text, tokens and weights."""
    disagreeing: int = 0
    """Answers whose header names another model than their body."""

    async def call(self, service: Service, stop: asyncio.Event) -> None:
        """One caller."""
        while not stop.is_set():
            reply = await service.translate()
            self.statuses[reply.status_code] += 1
            if reply.status_code == 200:
                model, content = told(reply.json())
                self.answers.append((model, content))
                self.disagreeing += not reply.headers["x-model"].endswith(f"@{model}")

    def like(self, answer: tuple[str, Any]) -> int:
        """How many answers are this one."""
        return sum(one == answer for one in self.answers)


def told(answer: dict[str, Any]) -> tuple[str, Any]:
    """The digest of an answer's model, and all that the model said: text, tokens and weights."""
    return answer["model"]["digest"], answer["translations"]


@asynccontextmanager
async def under_load(service: Service) -> AsyncIterator[Load]:
    """Callers for as long as this lasts."""
    load, stop = Load(), asyncio.Event()
    callers = [asyncio.create_task(load.call(service, stop)) for _ in range(CALLERS)]
    try:
        yield load
    finally:
        stop.set()
        await asyncio.gather(*callers)


@case(
    "G3",
    "another model's weights: of other sizes, of the same; a whole other model",
    "refused, told which; the name keeps its model",
)
async def swapped_weights(bench: Bench) -> str:
    service = await bench.shared()
    folder = next(bench.checkpoints.iterdir())
    other = write_checkpoint(
        bench.new_folder() / "another", load_checkpoint(folder).source_tokenizer
    )
    other_sizes = await refusal(service, bench, _widen_weights)
    same_sizes = await refusal(service, bench, _scale_weights)
    require("shape is" in other_sizes and "manifest's config gives" in other_sizes, other_sizes)
    require("sha256" in same_sizes, same_sizes)
    saved = bench.new_folder() / "saved"
    folder.rename(saved)
    before = await service.known_answer()
    try:
        shutil.copytree(other, folder)
        swapped = await service.post_admin(f"/v1/admin/models/{folder.name}:activate")
        require(await service.known_answer() == before, "another model answers to the name")
    finally:
        shutil.rmtree(folder)
        saved.rename(folder)
    require(swapped.status_code == 404, f"a whole other model: {swapped.status_code}")
    return f"other sizes: “…{other_sizes[-90:]}”; same sizes: sha256; another's folder: 404"


def _widen_weights(folder: Path) -> None:
    """Weights of the same network with more attention units, and a manifest that names them."""
    config = load_checkpoint(folder).manifest.config
    wider = Seq2Seq(replace(config, attention_units=2 * config.attention_units))
    save_file(
        {name: weight.detach() for name, weight in wider.named_parameters()}, folder / WEIGHTS
    )
    restate(folder, WEIGHTS)


def _scale_weights(folder: Path) -> None:
    """Weights as those of a twin: the same names and sizes, the manifest of the first."""
    weights = load_file(folder / WEIGHTS)
    save_file({name: 0.99 * weight for name, weight in weights.items()}, folder / WEIGHTS)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")


@case(
    "G8",
    "broken models are activated while eight callers translate",
    "0 failed requests, one answer, every failure counted and logged",
)
async def broken_reload(bench: Bench) -> str:
    checkpoints = bench.copied_checkpoints()
    folder = next(checkpoints.iterdir())
    async with bench.service(checkpoints=checkpoints) as service:
        right = told((await service.translate()).json())
        async with under_load(service) as load:
            damage(folder)
            for _ in range(BROKEN):
                reply = await service.post_admin(f"/v1/admin/models/{folder.name}:activate")
                require(reply.status_code == 422, f"taken: {reply.text[:100]}")
        failed = await service.metric("model_changes_total", result="failed")
        logged = sum("was not activated" in str(one.get("event")) for one in service.events())
        complaints = await service.complaints()
    others = len(load.answers) - load.like(right)
    figure = (
        f"{BROKEN} refused, {failed:g} counted, {logged} logged; {load.statuses.total()} requests, "
        f"{load.statuses.total() - load.statuses[200]} failed, {others} of another model"
    )
    require(set(load.statuses) == {200} and others == 0, figure)
    require(failed == logged == BROKEN and not complaints, f"{figure} {complaints}")
    return figure


@case(
    "G9",
    "good models are activated while eight callers translate",
    "every answer is one model's whole; 0 failed",
)
async def good_reload(bench: Bench) -> str:
    checkpoints = bench.copied_checkpoints()
    folder = next(checkpoints.iterdir())
    twin = bench.new_folder() / folder.name
    write_checkpoint(twin, load_checkpoint(folder).source_tokenizer, cell="lstm")
    async with bench.service(checkpoints=checkpoints) as service:
        right = [told((await service.translate(KNOWN_TEXT)).json())]
        async with under_load(service) as load:
            for number in range(SWITCHES):
                spare = folder.with_name(".spare")
                folder.rename(spare)
                twin.rename(folder)
                spare.rename(twin)
                reply = await service.post_admin(f"/v1/admin/models/{folder.name}:activate")
                require(reply.json().get("result") == "activated", reply.text[:100])
                if number == 0:
                    right.append(told((await service.translate(KNOWN_TEXT)).json()))
        complaints = [one for one in await service.complaints() if "descriptors" in one]
    shares = [load.like(one) for one in right]
    mixed = len(load.answers) - sum(shares)
    figure = (
        f"{SWITCHES} switches, {load.statuses.total()} requests: {shares} answers of either, "
        f"{mixed} mixed, {load.statuses.total() - load.statuses[200]} failed, "
        f"{load.disagreeing} with another X-Model"
    )
    require(len(right) == 2 and right[0][1] != right[1][1] and all(shares), figure)
    require(mixed == load.disagreeing == 0 and set(load.statuses) == {200}, figure)
    require(not complaints, f"{figure} {complaints}")
    return figure
