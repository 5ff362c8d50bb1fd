"""The profile `scale` as real processes, and what its callers notice of it when parts are killed.

    python -m benchmarks.rehearsal
    python -m benchmarks.rehearsal --seconds 20 --callers 8 --checkpoints checkpoints

Needs nginx, postgres and redis-server. Two replicas of the service share PostgreSQL and Redis,
behind nginx with the configuration of deploy/nginx. Callers repeat what is not acknowledged under
the same `Idempotency-Key`. Under that load a replica, PostgreSQL and Redis are killed (SIGKILL) in
turn and started again, and both replicas are replaced one after the other with SIGTERM. A line a
fact; the exit code is 0 if all hold.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.keyed_load import KeyedLoad
from tests.nginx import NginxServer, find_nginx
from tests.servers import PostgresServer, RedisServer, find_program, free_port

ROOT = Path(__file__).parents[1]
START_SECONDS = 120
AWAY_SECONDS = 3.0
"""How long what was killed stays away, as if a supervisor noticed and started it anew."""


class Replica:
    """One process of the service."""

    def __init__(self, folder: Path, settings: dict[str, str], checkpoints: str) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._checkpoints = checkpoints
        self._log = (folder / f"replica-{self.port}.log").open("ab")
        kept = {k: v for k, v in os.environ.items() if not k.startswith("SOFTALIGN_")}
        self._variables = {
            **kept,
            **settings,
            "SOFTALIGN_ADMIN_PORT": str(free_port()),
            "SOFTALIGN_DATA": str(folder / f"data-{self.port}"),
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = ["serve", "--port", str(self.port), "--checkpoints", self._checkpoints]
        return subprocess.Popen(
            [sys.executable, "-m", "app", *command],
            cwd=ROOT,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def restart(self) -> None:
        self.process = self._start()

    def end(self, number: signal.Signals) -> int:
        """Give the exit code; negative for a signal that ended it."""
        self.process.send_signal(number)
        return self.process.wait(START_SECONDS)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(
                    f"a replica ended with {self.process.returncode}: {self._log.name}"
                )
            try:
                urllib.request.urlopen(f"http://{self.address}/readyz", timeout=5).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise SystemExit(f"a replica is not ready: {self._log.name}")


def make_key(settings: dict[str, str]) -> str:
    command = [sys.executable, "-m", "app", "keys", "create", "--owner", "rehearsal"]
    run = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        check=True,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()


def settings_of(postgres: PostgresServer, redis: RedisServer, folder: Path) -> dict[str, str]:
    """As docker-compose.yml sets them, secrets in files; quotas are counted but never met."""
    for name, value in {"database_url": postgres.new_database(), "redis_url": redis.url}.items():
        (folder / name).write_text(f"{value}\n")
    return {
        "OMP_NUM_THREADS": "1",
        "SOFTALIGN_DATABASE_URL_FILE": str(folder / "database_url"),
        "SOFTALIGN_REDIS_URL_FILE": str(folder / "redis_url"),
        "SOFTALIGN_REPLICAS": "2",
        "SOFTALIGN_TRUSTED_PROXIES": "127.0.0.1/32",
        "SOFTALIGN_KEY_REQUESTS_PER_MINUTE": "1000000",
        "SOFTALIGN_KEY_REQUESTS_PER_SECOND": "1000000",
        "SOFTALIGN_KEY_TOKENS_PER_MINUTE": "1000000000",
        # One caller is the whole load here.
        "SOFTALIGN_MAX_CALLER_SHARE": "1",
    }


class Rehearsal:
    """The parts, and what is done to them under load."""

    def __init__(
        self, replicas: list[Replica], postgres: PostgresServer, redis: RedisServer, seconds: float
    ) -> None:
        self._replicas = replicas
        self._postgres = postgres
        self._redis = redis
        self._seconds = seconds
        self.codes: list[int] = []
        """Of replicas that were told to stop."""

    async def run(self, load: KeyedLoad) -> None:
        await asyncio.sleep(2)
        load.begin("nothing happens")
        await asyncio.sleep(self._seconds)
        load.begin("kill -9 of a replica")
        await asyncio.to_thread(self._replicas[0].end, signal.SIGKILL)
        await asyncio.sleep(AWAY_SECONDS)
        self._replicas[0].restart()
        await asyncio.to_thread(self._replicas[0].wait_until_ready)
        await asyncio.sleep(self._seconds)
        load.begin("kill -9 of PostgreSQL")
        await asyncio.to_thread(self._postgres.kill)
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(self._postgres.start)
        await asyncio.sleep(self._seconds)
        load.begin("kill -9 of Redis")
        await asyncio.to_thread(self._redis.kill)
        await asyncio.sleep(AWAY_SECONDS)
        await asyncio.to_thread(self._redis.start)
        await asyncio.sleep(self._seconds)
        load.begin("SIGTERM to each replica in turn")
        for replica in self._replicas:
            self.codes.append(await asyncio.to_thread(replica.end, signal.SIGTERM))
            replica.restart()
            await asyncio.to_thread(replica.wait_until_ready)


async def rehearse(
    rehearsal: Rehearsal, url: str, key: str, callers: int
) -> list[tuple[bool, str]]:
    """Give facts, each with whether it is as it should be."""
    async with KeyedLoad(url, key, callers) as load:
        await rehearsal.run(load)
        await load.finish()
        for phase in load.phases[1:]:
            print(phase.line(), flush=True)
        acknowledged = list(load.acknowledged.values())
        missing = await load.missing()
        stored = await load.stored()
    extra = len(stored) - len(set(acknowledged))
    return [
        (bool(acknowledged), f"{len(acknowledged)} requests were acknowledged"),
        (not load.given_up, f"{len(load.given_up)} were given up"),
        (not missing, f"{len(missing)} acknowledged records are missing"),
        (
            len(set(acknowledged)) == len(acknowledged) and extra == 0,
            f"{len(stored)} records for {len(acknowledged)} keys: {extra} duplicates",
        ),
        (
            rehearsal.codes == [0, 0],
            f"replicas that were told to stop ended with {rehearsal.codes}",
        ),
    ]


def main() -> int:
    """Set the parts up, rehearse, and take them down."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="of load after each event")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--checkpoints", default="checkpoints")
    arguments = parser.parse_args()
    programs = {"nginx": find_nginx(), "redis-server": find_program("redis-server")}
    programs["postgres"] = find_program("postgres")
    if absent := [name for name, found in programs.items() if found is None]:
        raise SystemExit(f"not installed: {', '.join(absent)}")

    replicas: list[Replica] = []
    postgres, redis = PostgresServer(None), RedisServer(None)
    nginx = None
    with tempfile.TemporaryDirectory(prefix="softalign-rehearsal-") as folder:
        try:
            settings = settings_of(postgres, redis, Path(folder))
            key = make_key(settings)
            replicas += [Replica(Path(folder), settings, arguments.checkpoints) for _ in range(2)]
            for replica in replicas:
                replica.wait_until_ready()
            nginx = NginxServer([replica.address for replica in replicas])
            rehearsal = Rehearsal(replicas, postgres, redis, arguments.seconds)
            facts = asyncio.run(rehearse(rehearsal, nginx.url, key, arguments.callers))
            codes = [replica.end(signal.SIGTERM) for replica in replicas]
            facts.append((codes == [0, 0], f"at the end replicas ended with {codes}"))
        finally:
            for replica in replicas:
                replica.process.kill()
            if nginx is not None:
                nginx.stop()
            redis.stop()
            postgres.stop()
    for holds, fact in facts:
        print("holds" if holds else "FAILS", fact)
    return 0 if all(holds for holds, _ in facts) else 1


if __name__ == "__main__":
    sys.exit(main())
