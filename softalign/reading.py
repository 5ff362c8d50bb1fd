"""From the bodies of answers to results."""

from collections.abc import Mapping
from typing import Any

from softalign.alignment import read_alignment
from softalign.calls import Call, Recipe, alignment_call
from softalign.events import DoneEvent
from softalign.results import (
    FailedText,
    Hypothesis,
    Model,
    Pair,
    ReadForm,
    Segment,
    StoredTranslation,
    Translation,
)

Document = Mapping[str, Any]


class Reader:
    """Reads answers; `read_form` is what their results ask for forms with, if they can."""

    def __init__(self, read_form: ReadForm | None) -> None:
        self._read_form = read_form

    def translations(
        self, document: Document, call: Call | None = None
    ) -> list[Translation | FailedText]:
        """Those of an answer to `call`, or of one that was stored long ago."""
        body: Document = (call.body if call else None) or {}
        sent = body.get("text")
        sources = [sent] if isinstance(sent, str) else sent
        asked = body.get("alignment")
        return [
            self._translation(document, index, sources[index] if sources else None, asked)
            if "problem" not in told
            else FailedText(**told["problem"])
            for index, told in enumerate(document["translations"])
        ]

    def pairs(self, document: Document, call: Call) -> list[Pair]:
        """Those of an answer to `call`."""
        body = call.body or {}
        sources, targets = body["source"], body["target"]
        texts = (
            [(sources, targets)]
            if isinstance(sources, str)
            else list(zip(sources, targets, strict=True))
        )
        model = _identity(document["model"])
        return [
            self._pair(told, source, target, call, model)
            for told, (source, target) in zip(document["pairs"], texts, strict=True)
        ]

    def done(self, document: Document, call: Call) -> DoneEvent:
        """The last event of a stream."""
        found = self.translations(document, call)
        return DoneEvent(tuple(one for one in found if isinstance(one, Translation)))

    def _translation(
        self, document: Document, index: int, source: str | None, asked: Document | None
    ) -> Translation:
        told = document["translations"][index]
        record_id = document["id"]

        def fields(one: Document, hypothesis: int) -> dict[str, Any]:
            recipe = None
            if record_id is not None:
                call = alignment_call(record_id, index, hypothesis)
                recipe = Recipe(call=call, asked=_asked(asked, one["alignment"]))
            return {
                **self._aligned_text(one, source, one["text"], told, recipe),
                "finish_reason": one["finish_reason"],
            }

        return Translation(
            **fields(told, 0),
            id=record_id,
            index=index,
            model=_identity(document["model"]),
            alternatives=tuple(
                Hypothesis(**fields(one, number))
                for number, one in enumerate(told["alternatives"], 1)
            ),
        )

    def _pair(self, told: Document, source: str, target: str, call: Call, model: str) -> Pair:
        body = {**(call.body or {}), "source": source, "target": target}
        one_pair = Call(method=call.method, path=call.path, body=body)
        recipe = Recipe(call=one_pair, asked=_asked(body.get("alignment"), told["alignment"]))
        return Pair(
            **self._aligned_text(told, source, target, told, recipe),
            perplexity=told["perplexity"],
            model=model,
        )

    def _aligned_text(
        self,
        told: Document,
        source: str | None,
        text: str,
        languages: Document,
        recipe: Recipe | None,
    ) -> dict[str, Any]:
        alignment = told["alignment"]
        return {
            "source": source,
            "text": text,
            "source_lang": languages["source_lang"],
            "source_lang_detected": languages.get("source_lang_detected", False),
            "target_lang": languages["target_lang"],
            "score": told["score"],
            "log_prob": told["log_prob"],
            "segments": tuple(_segment(one) for one in told["segments"] or ()),
            "aligned": None if alignment is None else read_alignment(alignment),
            "recipe": recipe,
            "read_form": self._read_form,
        }


def read_model(document: Document) -> Model:
    """One of the models that the service tells of."""
    return Model(
        name=document["name"],
        digest=document["digest"],
        source_lang=document["source_lang"],
        target_lang=document["target_lang"],
        alignment_kinds=tuple(document["alignment_kinds"]),
        description=document,
    )


def read_languages(document: Document) -> dict[str, tuple[str, ...]]:
    """Source languages, each with those that it can be translated into."""
    return {one["code"]: tuple(one["targets"]) for one in document["languages"]}


def read_stored(document: Document) -> list[StoredTranslation]:
    """A page of the list of what is stored."""
    return [StoredTranslation(**one) for one in document["translations"]]


def _segment(document: Document) -> Segment:
    source, target = document["source"], document["target"]
    rest = {name: document[name] for name in ("score", "log_prob", "finish_reason", "split")}
    return Segment(source["start"], source["end"], target["start"], target["end"], **rest)


def _asked(sent: Document | None, told: Document | None) -> Document:
    """The options of an alignment as they were sent, or, of an old answer, as it shows them."""
    if sent is not None:
        return sent
    if told is None:
        return {}
    levels = {one["level"] for one in told["segments"]}
    level = {"level": levels.pop()} if len(levels) == 1 else {}
    return {"kind": told["kind"], "offset_encoding": told["offset_encoding"], **level}


def _identity(model: Document) -> str:
    return f"{model['name']}@{model['digest']}"
