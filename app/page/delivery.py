"""Sends the page at `/` and its files below `/page/`, under a policy that lets nothing else in."""

from dataclasses import dataclass
from pathlib import Path, PurePath

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FILES = Path(__file__).parent / "files"

CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
        "require-trusted-types-for 'script'",
    ]
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), "
    "payment=(), usb=()",
    # Asked for each time, answered with 304 where nothing changed: no stale page after an update.
    "Cache-Control": "no-cache",
}

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Said by us: machines differ about `.js`, and browsers are told not to guess."""


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """What the log and the metrics call it; only routes of the API have a name of their own."""

    path: str


class PageFiles(StaticFiles):
    """The files of the page with the headers of the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at `path`, or 304 where the browser has it; raises HTTPException 404 and 405."""
        scope.setdefault("route", NamedPlace("/page/{file}"))
        response = await super().get_response(path, scope)
        response.headers.update(HEADERS)
        if isinstance(response, FileResponse):
            response.headers["Content-Type"] = MEDIA_TYPES[PurePath(path).suffix]
        return response


def serve_page(app: FastAPI) -> None:
    """Add the page to `app`; its addresses are not a part of the API."""
    files = PageFiles(directory=FILES)

    async def front(request: Request) -> Response:
        request.scope["route"] = NamedPlace("/")
        return await files.get_response("index.html", request.scope)

    app.add_route("/", front, methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/page", files, name="page")
