"""The route class of every address that takes a body: JSON as `app/strict_json.py` reads it."""

import email.message
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.errors import UnreadableRequestError
from app.settings import Settings
from app.strict_json import parse_json

MOST_MEMBERS = 256
"""Of one array or object of a body; a few dozen are the most that a request has a use for."""


class JsonRoute(APIRoute):
    """Reads the body strictly and hands the parsed value to the framework's own validation."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler of this route."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def read_then_handle(request: Request) -> Response:
            settings: Settings = request.app.state.settings
            check_media_type(request.headers.get("content-type"))
            most = max(MOST_MEMBERS, settings.max_texts + 1)  # one too many is told as such
            value = parse_json(await request.body(), settings.max_json_depth, most)
            return await handler(_ParsedRequest(request, value))

        return read_then_handle


class _ParsedRequest(Request):
    """A request whose JSON has been read."""

    def __init__(self, request: Request, value: object) -> None:
        super().__init__(request.scope, request.receive)
        self._body = b"-"  # not empty: the framework then asks for `json`
        self._value = value

    async def json(self) -> object:
        return self._value


def check_media_type(value: str | None) -> None:
    """Refuse (415) anything but `application/json`, in UTF-8 where it names a charset."""
    message = email.message.Message()
    message["content-type"] = value or ""
    charset = (message.get_content_charset() or "utf-8").replace("utf8", "utf-8")
    if not value or message.get_content_type() != "application/json" or charset != "utf-8":
        raise UnreadableRequestError(
            "unsupported_media_type", "Send the body as JSON: `Content-Type: application/json`."
        )
