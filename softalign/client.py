"""The client that blocks; `softalign/async_client.py` has the same methods to await."""

import time
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import httpx

from softalign.alignment import Alignment, read_alignment
from softalign.attempts import Attempts, check_stream, http_settings, read_json
from softalign.calls import (
    Call,
    align_call,
    alignment_call,
    form_of_file,
    list_call,
    next_page,
    stored_call,
    translate_call,
)
from softalign.errors import InterruptedStreamError, NotStoredError
from softalign.events import Event, StreamReader
from softalign.options import AlignOptions, FormOptions, TranslateOptions
from softalign.reading import Reader, read_languages, read_model, read_stored
from softalign.results import AlignedText, FailedText, Model, Pair, StoredTranslation, Translation
from softalign.retries import Retries

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
DEFAULT_TIMEOUT = 60.0
"""Seconds of silence; longer than the service's own deadline, which says more."""


class Client:
    """A connection to a Softalign service; close it, or use it as a context manager.

    Every method raises UnreachableError where no connection holds, UnexpectedAnswerError where
    something else answers, and ProblemError, or one of its kinds, where the service says no. What
    can be repeated safely is, as `retries` says. A client may be shared by threads.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._http = httpx.Client(transport=transport, **http_settings(address, api_key, timeout))
        self._retries = retries or Retries()
        self._reader = Reader(self.form)

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    @overload
    def translate(self, text: str, **options: Unpack[TranslateOptions]) -> Translation: ...
    @overload
    def translate(
        self, text: list[str] | tuple[str, ...], **options: Unpack[TranslateOptions]
    ) -> list[Translation]: ...
    @overload
    def translate(
        self,
        text: list[str] | tuple[str, ...],
        *,
        on_error: Literal["partial"],
        **options: Unpack[TranslateOptions],
    ) -> list[Translation | FailedText]: ...
    def translate(
        self,
        text: str | list[str] | tuple[str, ...],
        *,
        on_error: Literal["partial"] | None = None,
        **options: Unpack[TranslateOptions],
    ) -> Translation | list[Translation] | list[Translation | FailedText]:
        """Translate a text, or a list of texts in one request, with their alignments.

        With `on_error` `partial` a text that cannot be translated has a FailedText in its place.
        """
        call = translate_call(text, options, on_error)
        found = self._reader.translations(self._json(call), call)
        if on_error is not None:
            return found
        done = [one for one in found if isinstance(one, Translation)]
        return done[0] if isinstance(text, str) else done

    def stream(
        self, text: str | list[str] | tuple[str, ...], **options: Unpack[TranslateOptions]
    ) -> Generator[Event, None, None]:
        """The events of a translation while it is made; the last is a DoneEvent.

        Closing the generator frees the service of the work. A stream that has begun is never tried
        again: InterruptedStreamError tells that it broke off.
        """
        call = translate_call(text, options).as_stream()
        attempts = Attempts(self._retries, call)
        while True:
            with attempts.watch(), self._http.stream(**attempts.request()) as response:
                if not response.is_success:
                    response.read()
                if attempts.is_done(response):
                    yield from self._events(response, call)
                    return
            time.sleep(attempts.pause())

    def align(self, source: str, target: str, **options: Unpack[AlignOptions]) -> Pair:
        """Align a text with a translation of it, by whomever, and score that."""
        call = align_call(source, target, options)
        return self._reader.pairs(self._json(call), call)[0]

    def align_many(
        self, pairs: list[tuple[str, str]], **options: Unpack[AlignOptions]
    ) -> list[Pair]:
        """Align several pairs of source and target in one request."""
        call = align_call([one for one, _ in pairs], [other for _, other in pairs], options)
        return self._reader.pairs(self._json(call), call)

    def get(self, id: str) -> list[Translation | FailedText]:
        """A stored answer, which has a translation for each text; raises NotFoundError."""
        return self._reader.translations(self._json(stored_call(id)))

    def alignment(
        self, id: str, *, text: int = 0, hypothesis: int = 0, **options: Unpack[FormOptions]
    ) -> Alignment:
        """The alignment of a stored translation, of any kind and level."""
        call = alignment_call(id, text, hypothesis)
        return read_alignment(self._json(call, {**options, "format": "json"}))

    def form(self, result: AlignedText, form: str, **options: Unpack[FormOptions]) -> bytes:
        """The alignment of `result` as `svg`, `png`, `html`, `csv` and so on; see docs/api.md.

        Raises NotStoredError where the service does not keep it.
        """
        if result.recipe is None:
            raise NotStoredError("the service did not store this result, so it cannot draw it")
        return self._send(result.recipe.in_form(form, options)).content

    def save(self, result: AlignedText, path: str | Path, **options: Unpack[FormOptions]) -> None:
        """Write the alignment of `result` to a file, in the form that its ending names."""
        Path(path).write_bytes(self.form(result, form_of_file(str(path)), **options))

    def translations(
        self,
        *,
        source_lang: str | None = None,
        target_lang: str | None = None,
        page_size: int = 50,
    ) -> Iterator[StoredTranslation]:
        """All that the service keeps of the caller's, newest first, a page at a time."""
        filters = {"source_lang": source_lang, "target_lang": target_lang, "limit": page_size}
        call: Call | None = list_call(filters)
        while call is not None:
            page = self._json(call)
            yield from read_stored(page)
            call = next_page(call, page["next_cursor"])

    def delete(self, id: str) -> None:
        """Delete a stored answer; raises NotFoundError."""
        self._send(Call(method="DELETE", path=stored_call(id).path))

    def delete_all(self) -> int:
        """Delete all that the service keeps of the caller's; gives how many there were."""
        call = Call(method="DELETE", path="/v1/translations", query={"all": "true"})
        return int(self._json(call)["erased"])

    def models(self) -> list[Model]:
        """The models that are loaded."""
        found = self._json(Call(method="GET", path="/v1/models"))["models"]
        return [read_model(one) for one in found]

    def languages(self) -> dict[str, tuple[str, ...]]:
        """Source languages, each with those that it can be translated into."""
        return read_languages(self._json(Call(method="GET", path="/v1/languages")))

    def limits(self) -> Mapping[str, float]:
        """The limits in force, by name."""
        return self._json(Call(method="GET", path="/v1/limits"))

    def _json(self, call: Call, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return read_json(self._send(call, query))

    def _send(self, call: Call, query: Mapping[str, Any] | None = None) -> httpx.Response:
        attempts = Attempts(self._retries, call, query)
        while True:
            with attempts.watch():
                response = self._http.request(**attempts.request())
                if attempts.is_done(response):
                    return response
            time.sleep(attempts.pause())

    def _events(self, response: httpx.Response, call: Call) -> Iterator[Event]:
        check_stream(response)
        reader = StreamReader(lambda data: self._reader.done(data, call))
        try:
            for chunk in response.iter_bytes():
                yield from reader.feed(chunk)
        except httpx.TransportError as error:
            raise InterruptedStreamError("the connection broke in the middle") from error
        reader.end()
