"""The service, killed by itself at a given point of storing an answer.

    python -m benchmarks.abuse.crashing_service CHECKPOINTS PORT

Reads lines `HOOK COUNT` from standard input; for each a copy of this process serves at PORT and
ends as `kill -9` would when the COUNT-th answer comes to HOOK, one of `HOOKS`. Prints `ready` when
it listens, and `gone` when it has ended. Copies share what was imported, so that a hundred starts
take no hour; the interpreter had no other thread when it was copied.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.models import load_models
from app.reply import Reply
from app.server import Process, bind
from app.settings import load_settings
from app.storage.database import Database

HOOKS = ("before_insert", "after_insert", "after_commit", "before_answer")
NEVER = "never"


class Fuse:
    """Counts down, and then ends the process at once."""

    def __init__(self, hook: str, count: int) -> None:
        self._hook = hook
        self._left = count

    def reach(self, hook: str) -> None:
        """An answer has come to this point."""
        if hook == self._hook:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def arm(fuse: Fuse) -> None:
    """Put the fuse where answers are stored and sent."""
    write, send = Database.write, Reply.send

    async def fused_write(self: Database, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def fused_work(connection: Any) -> Any:
            result = await work(connection)
            fuse.reach("after_insert")
            return result

        if work.__name__ != "insert_all":  # a purge, a note of when a key was used
            return await write(self, work)
        fuse.reach("before_insert")
        result = await write(self, fused_work)
        fuse.reach("after_commit")
        return result

    async def fused_send(self: Reply, message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = dict(message["headers"])
            if any(name.lower() == b"location" for name in headers):
                fuse.reach("before_answer")
        await send(self, message)

    Database.write = fused_write  # type: ignore[method-assign, assignment]
    Reply.send = fused_send  # type: ignore[method-assign]


def serve(checkpoints: str, port: int, hook: str, count: int) -> int:
    """One life of the service."""
    arm(Fuse(hook, count))
    settings = load_settings().model_copy(update={"checkpoints": Path(checkpoints)})
    process = Process(settings, load_models(settings.checkpoints), bind("127.0.0.1", port), None)
    return process.run(when_ready=lambda: print("ready", flush=True))


def main() -> None:
    checkpoints, port = sys.argv[1:]
    for line in sys.stdin:
        hook, count = line.split()
        child = os.fork()
        if child == 0:
            os._exit(serve(checkpoints, int(port), hook, int(count)))
        os.waitpid(child, 0)
        print("gone", flush=True)


if __name__ == "__main__":
    main()
