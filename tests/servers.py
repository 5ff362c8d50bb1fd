"""PostgreSQL and Redis for tests: a server that the environment names, else a private one.

A private server lives in a temporary folder, listens on a free port of 127.0.0.1 and dies with the
tests. PostgreSQL refuses to run as an administrator, so it runs as `nobody` there.
"""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import asyncpg
from sqlalchemy.engine import URL, make_url

T = TypeVar("T")
START_SECONDS = 60
PASSWORD = "a-password-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_program(name: str) -> str | None:
    """A program on PATH, or where Debian puts PostgreSQL's."""
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found or (str(versions[-1]) if versions else None)


def unprivileged() -> dict[str, object]:
    """Arguments of `subprocess` that make a program run without an administrator's rights."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def wait_until(is_up: Callable[[], bool], process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_up():
        assert process.poll() is None, f"{what} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{what} does not answer"
        time.sleep(0.05)


def run_apart(work: Coroutine[object, object, T]) -> T:
    """Run `work` in a thread of its own: here an event loop may be running already."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()


class PostgresServer:
    """A server that tests make databases in; a private one can be killed and started again."""

    def __init__(self, url: str | None) -> None:
        self.is_private = url is None
        self.folder: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        if url is not None:
            self.url = make_url(url).set(drivername="postgresql")
            return
        self.folder = Path(tempfile.mkdtemp(prefix="softalign-postgres-"))
        if os.geteuid() == 0:
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        self.url = URL.create(
            "postgresql", "tester", PASSWORD, "127.0.0.1", free_port(), "postgres"
        )
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD)
        password_file.chmod(0o644)
        subprocess.run(
            [
                find_program("initdb"),
                *("--pgdata", str(self.folder / "data"), "--username", "tester", "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", str(password_file)),
                *("--encoding", "UTF8", "--locale", "C"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            **unprivileged(),
        )
        self.start()

    def start(self) -> None:
        assert self.folder is not None
        command = [find_program("postgres"), "-D", str(self.folder / "data")]
        options = {
            "port": self.url.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "100",
        }
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, **unprivileged()
            )
        wait_until(lambda: run_apart(self._answers()), self.process, "postgres")

    def kill(self) -> None:
        """End all its processes at once, as a power loss would."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        pids = [int(pid) for pid in children.read_text().split()]
        self.process.kill()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()
        self._await_release()

    def _await_release(self) -> None:
        """Children that die after their parent still hold the port for a moment."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.url.port)) != 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the port is not free again")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(START_SECONDS)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """Make an empty database and give its URL."""
        name = f"softalign_test_{secrets.token_hex(6)}"
        run_apart(self._execute(f"CREATE DATABASE {name}"))
        return self.url.set(database=name).render_as_string(hide_password=False)

    def drop_database(self, url: str) -> None:
        run_apart(self._execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)"))

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._dsn())
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    def _dsn(self) -> str:
        return self.url.render_as_string(hide_password=False)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self._dsn(), timeout=2)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        await connection.close()
        return True


class RedisServer:
    """A Redis that tests count in; a private one can be killed, stopped and started again."""

    def __init__(self, url: str | None) -> None:
        self.is_private = url is None
        self.process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = url or f"redis://127.0.0.1:{self.port}/0"
        if self.is_private:
            self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                find_program("redis-server"),
                *("--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--daemonize", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, self.process, "redis-server")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(START_SECONDS)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
