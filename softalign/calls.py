"""What is sent: from arguments to requests, the same for both clients."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from softalign.options import (
    ALIGNMENT,
    DECODING,
    LAYOUT,
    AlignOptions,
    FormOptions,
    TranslateOptions,
    refuse_unknown,
)

FORM_OF_ENDING = {
    "json": "json",
    "txt": "blocks",
    "csv": "csv",
    "tsv": "tsv",
    "pharaoh": "pharaoh",
    "proj": "proj",
    "html": "html",
    "svg": "svg",
    "png": "png",
    "npy": "npy",
    "npz": "npz",
}
"""The form of an alignment that a file of this ending holds."""


IDEMPOTENCY_KEY = "Idempotency-Key"

PLAIN = ("source_lang", "target_lang", "model", "store", "ttl", "deadline_ms", "lane")
"""Options that stand in the body of a translation as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the service."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    has_own_key: bool = False
    """Whether we chose its idempotency key, and nobody relies on it."""

    def without_key(self) -> "Call":
        """The same without its idempotency key."""
        kept = {name: text for name, text in self.headers.items() if name != IDEMPOTENCY_KEY}
        return replace(self, headers=kept, has_own_key=False)

    def as_stream(self) -> "Call":
        """The same, answered by events."""
        return replace(self, headers={**self.headers, "Accept": "text/event-stream"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the alignment of one result is asked for again, in any form."""

    call: Call
    asked: Mapping[str, Any]
    """The options of the alignment that were asked for the first time."""

    def in_form(self, form: str, options: FormOptions) -> Call:
        """The request for this `form`; raises TypeError for options that it does not take."""
        refuse_unknown(options, FormOptions)
        given = dict(options)
        layout = {name: given[name] for name in LAYOUT if name in given}
        alignment = {**self.asked, **{name: given[name] for name in ALIGNMENT if name in given}}
        if self.call.body is None:
            segment = {"segment": given["segment"]} if "segment" in given else {}
            query = {**self.call.query, **alignment, **layout, **segment, "format": form}
            return replace(self.call, query=query)
        if "segment" in given:
            raise TypeError("a pair has no stored segments: leave `segment` out")
        body = {**self.call.body, "alignment": alignment}
        return replace(self.call, query={**layout, "format": form}, body=body)


def translate_call(
    text: str | Sequence[str], options: TranslateOptions, on_error: str | None = None
) -> Call:
    """`POST /v1/translate`."""
    refuse_unknown(options, TranslateOptions)
    body: dict[str, Any] = {"text": text if isinstance(text, str) else list(text)}
    body |= _picked(options, PLAIN)
    decoding = _picked(options, DECODING)
    if decoding:
        body["decoding"] = decoding
    if on_error is not None:
        body["on_error"] = on_error
    body["alignment"] = _picked(options, ALIGNMENT) if options.get("align", True) else None
    key = options.get("idempotency_key")
    is_ours = key is None and options.get("store", True) is not False
    if is_ours:
        key = uuid.uuid4().hex
    headers = {} if key is None else {IDEMPOTENCY_KEY: key}
    return Call(
        method="POST", path="/v1/translate", body=body, headers=headers, has_own_key=is_ours
    )


def align_call(
    source: str | Sequence[str], target: str | Sequence[str], options: AlignOptions
) -> Call:
    """`POST /v1/align`."""
    refuse_unknown(options, AlignOptions)
    body: dict[str, Any] = {
        "source": source if isinstance(source, str) else list(source),
        "target": target if isinstance(target, str) else list(target),
    }
    body |= _picked(options, ("source_lang", "target_lang", "model", "split", "deadline_ms"))
    body["alignment"] = _picked(options, ALIGNMENT) if options.get("align", True) else None
    return Call(method="POST", path="/v1/align", body=body)


def stored_call(id: str) -> Call:
    """`GET /v1/translations/{id}`."""
    return Call(method="GET", path=f"/v1/translations/{quote(id, safe='')}")


def alignment_call(id: str, text: int, hypothesis: int) -> Call:
    """`GET /v1/translations/{id}/alignment`."""
    query = {"text": text, "hypothesis": hypothesis}
    return Call(method="GET", path=f"{stored_call(id).path}/alignment", query=query)


def list_call(filters: Mapping[str, Any]) -> Call:
    """`GET /v1/translations`; filters that are None are left out."""
    query = {name: one for name, one in filters.items() if one is not None}
    return Call(method="GET", path="/v1/translations", query=query)


def next_page(call: Call, cursor: str | None) -> Call | None:
    """The same list from `cursor` on; None at its end."""
    return None if cursor is None else replace(call, query={**call.query, "cursor": cursor})


def form_of_file(path: str) -> str:
    """The form that a file's ending names; raises ValueError for another ending."""
    ending = path.rpartition(".")[2].lower()
    if ending not in FORM_OF_ENDING:
        endings = ", ".join(f".{one}" for one in FORM_OF_ENDING)
        raise ValueError(f"{path!r} has none of the endings of alignments: {endings}")
    return FORM_OF_ENDING[ending]


def _picked(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}
