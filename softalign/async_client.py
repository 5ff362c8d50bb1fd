"""The client to await; `softalign/client.py` has the same methods, which block."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
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
from softalign.client import DEFAULT_ADDRESS, DEFAULT_TIMEOUT
from softalign.errors import InterruptedStreamError, NotStoredError
from softalign.events import Event, StreamReader
from softalign.options import AlignOptions, FormOptions, TranslateOptions
from softalign.reading import Reader, read_languages, read_model, read_stored
from softalign.results import AlignedText, FailedText, Model, Pair, StoredTranslation, Translation
from softalign.retries import Retries


class AsyncClient:
    """A connection to a Softalign service; close it, or use it as a context manager.

    Every method raises UnreachableError where no connection holds, UnexpectedAnswerError where
    something else answers, and ProblemError, or one of its kinds, where the service says no. What
    can be repeated safely is, as `retries` says.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        api_key: str | None = None,
        timeout: float | httpx.Timeout = DEFAULT_TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(
            transport=transport, **http_settings(address, api_key, timeout)
        )
        self._retries = retries or Retries()
        self._reader = Reader(None)

    async def __aenter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    @overload
    async def translate(self, text: str, **options: Unpack[TranslateOptions]) -> Translation: ...
    @overload
    async def translate(
        self, text: list[str] | tuple[str, ...], **options: Unpack[TranslateOptions]
    ) -> list[Translation]: ...
    @overload
    async def translate(
        self,
        text: list[str] | tuple[str, ...],
        *,
        on_error: Literal["partial"],
        **options: Unpack[TranslateOptions],
    ) -> list[Translation | FailedText]: ...
    async def translate(
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
        found = self._reader.translations(await self._json(call), call)
        if on_error is not None:
            return found
        done = [one for one in found if isinstance(one, Translation)]
        return done[0] if isinstance(text, str) else done

    async def stream(
        self, text: str | list[str] | tuple[str, ...], **options: Unpack[TranslateOptions]
    ) -> AsyncGenerator[Event, None]:
        """The events of a translation while it is made; the last is a DoneEvent.

        Closing the generator (`contextlib.aclosing`) frees the service of the work. A stream that
        has begun is never tried again: InterruptedStreamError tells that it broke off.
        """
        call = translate_call(text, options).as_stream()
        attempts = Attempts(self._retries, call)
        while True:
            with attempts.watch():
                async with self._http.stream(**attempts.request()) as response:
                    if not response.is_success:
                        await response.aread()
                    if attempts.is_done(response):
                        async for event in self._events(response, call):
                            yield event
                        return
            await asyncio.sleep(attempts.pause())

    async def align(self, source: str, target: str, **options: Unpack[AlignOptions]) -> Pair:
        """Align a text with a translation of it, by whomever, and score that."""
        call = align_call(source, target, options)
        return self._reader.pairs(await self._json(call), call)[0]

    async def align_many(
        self, pairs: list[tuple[str, str]], **options: Unpack[AlignOptions]
    ) -> list[Pair]:
        """Align several pairs of source and target in one request."""
        call = align_call([one for one, _ in pairs], [other for _, other in pairs], options)
        return self._reader.pairs(await self._json(call), call)

    async def get(self, id: str) -> list[Translation | FailedText]:
        """A stored answer, which has a translation for each text; raises NotFoundError."""
        return self._reader.translations(await self._json(stored_call(id)))

    async def alignment(
        self, id: str, *, text: int = 0, hypothesis: int = 0, **options: Unpack[FormOptions]
    ) -> Alignment:
        """The alignment of a stored translation, of any kind and level."""
        call = alignment_call(id, text, hypothesis)
        return read_alignment(await self._json(call, {**options, "format": "json"}))

    async def form(self, result: AlignedText, form: str, **options: Unpack[FormOptions]) -> bytes:
        """The alignment of `result` as `svg`, `png`, `html`, `csv` and so on; see docs/api.md.

        Raises NotStoredError where the service does not keep it.
        """
        if result.recipe is None:
            raise NotStoredError("the service did not store this result, so it cannot draw it")
        return (await self._send(result.recipe.in_form(form, options))).content

    async def save(
        self, result: AlignedText, path: str | Path, **options: Unpack[FormOptions]
    ) -> None:
        """Write the alignment of `result` to a file, in the form that its ending names."""
        content = await self.form(result, form_of_file(str(path)), **options)
        await asyncio.to_thread(Path(path).write_bytes, content)

    async def translations(
        self,
        *,
        source_lang: str | None = None,
        target_lang: str | None = None,
        page_size: int = 50,
    ) -> AsyncIterator[StoredTranslation]:
        """All that the service keeps of the caller's, newest first, a page at a time."""
        filters = {"source_lang": source_lang, "target_lang": target_lang, "limit": page_size}
        call: Call | None = list_call(filters)
        while call is not None:
            page = await self._json(call)
            for one in read_stored(page):
                yield one
            call = next_page(call, page["next_cursor"])

    async def delete(self, id: str) -> None:
        """Delete a stored answer; raises NotFoundError."""
        await self._send(Call(method="DELETE", path=stored_call(id).path))

    async def delete_all(self) -> int:
        """Delete all that the service keeps of the caller's; gives how many there were."""
        call = Call(method="DELETE", path="/v1/translations", query={"all": "true"})
        return int((await self._json(call))["erased"])

    async def models(self) -> list[Model]:
        """The models that are loaded."""
        found = (await self._json(Call(method="GET", path="/v1/models")))["models"]
        return [read_model(one) for one in found]

    async def languages(self) -> dict[str, tuple[str, ...]]:
        """Source languages, each with those that it can be translated into."""
        return read_languages(await self._json(Call(method="GET", path="/v1/languages")))

    async def limits(self) -> Mapping[str, float]:
        """The limits in force, by name."""
        return await self._json(Call(method="GET", path="/v1/limits"))

    async def _json(self, call: Call, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return read_json(await self._send(call, query))

    async def _send(self, call: Call, query: Mapping[str, Any] | None = None) -> httpx.Response:
        attempts = Attempts(self._retries, call, query)
        while True:
            with attempts.watch():
                response = await self._http.request(**attempts.request())
                if attempts.is_done(response):
                    return response
            await asyncio.sleep(attempts.pause())

    async def _events(self, response: httpx.Response, call: Call) -> AsyncIterator[Event]:
        check_stream(response)
        reader = StreamReader(lambda data: self._reader.done(data, call))
        try:
            async for chunk in response.aiter_bytes():
                for event in reader.feed(chunk):
                    yield event
        except httpx.TransportError as error:
            raise InterruptedStreamError("the connection broke in the middle") from error
        reader.end()
