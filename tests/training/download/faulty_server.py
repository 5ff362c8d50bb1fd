"""A file server on this machine that fails as it is told to."""

import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Served:
    """One file and how its requests go."""

    content: bytes
    tag: str | None = '"one"'
    ranges: bool = True
    """Whether it knows `Range`."""
    heeds_conditions: bool = True
    """Whether it knows `If-Range`."""
    cuts: list[int] = field(default_factory=list)
    """Bytes after which the answers to the first requests break off."""
    statuses: list[int] = field(default_factory=list)
    """Answers to the first requests, in place of the file."""
    requests: list[dict] = field(default_factory=list)
    """Headers of what was asked."""
    changes_to: "Served | None" = None
    """What takes its place after the first request."""


class FaultyServer:
    """As `with`: serves `files` at `address`."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def serve(self, path: str, content: bytes, **options) -> Served:
        self.files[path] = Served(content, **options)
        return self.files[path]

    def __enter__(self) -> "FaultyServer":
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        files = self.files

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.close_connection = True
                path = self.path.partition("?")[0]
                served = files.get(path)
                if served is None:
                    self.send_error(404)
                    return
                served.requests.append(dict(self.headers))
                if served.changes_to is not None:
                    files[path] = served.changes_to
                if served.statuses:
                    self.send_error(served.statuses.pop(0))
                    return
                self._send(served)

            def _send(self, served):
                begin = self._begin(served)
                if begin is not None and begin >= len(served.content):
                    self.send_error(416)
                    return
                body = served.content[begin or 0 :]
                self.send_response(200 if begin is None else 206)
                self.send_header("Content-Length", str(len(body)))
                if served.tag:
                    self.send_header("ETag", served.tag)
                if begin is not None:
                    last = len(served.content) - 1
                    self.send_header("Content-Range", f"bytes {begin}-{last}/{last + 1}")
                self.end_headers()
                self.wfile.write(body[: served.cuts.pop(0)] if served.cuts else body)

            def _begin(self, served):
                asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
                if not asked or not served.ranges:
                    return None
                if served.heeds_conditions and self.headers.get("If-Range") != served.tag:
                    return None
                return int(asked[1])

            def log_message(self, *_):
                pass

        return Handler
