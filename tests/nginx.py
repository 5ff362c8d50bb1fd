"""The nginx of the profile `scale`, as a private process in front of servers of a test."""

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.servers import START_SECONDS, find_program, free_port, unprivileged, wait_until

FOLDER = Path(__file__).parents[1] / "deploy" / "nginx"


def find_nginx() -> str | None:
    """Debian keeps nginx where only administrators look."""
    return find_program("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


class NginxServer:
    """Runs the shipped configuration; only places, ports and the addresses of replicas differ."""

    def __init__(self, replicas: Sequence[str], *, port: int | None = None) -> None:
        self.port = port or free_port()
        self.health_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = Path(tempfile.mkdtemp(prefix="softalign-nginx-"))
        (self.folder / "replicas.conf").write_text(named_replicas(replicas))
        places = {
            "/tmp/": f"{self.folder}/",
            "/etc/nginx/replicas.conf": str(self.folder / "replicas.conf"),
            "/dev/stdout": str(self.folder / "access.log"),
            "listen 8080;": f"listen 127.0.0.1:{self.port};",
            "listen 127.0.0.1:8081;": f"listen 127.0.0.1:{self.health_port};",
        }
        text = (FOLDER / "nginx.conf").read_text("utf-8")
        for shipped, ours in places.items():
            assert shipped in text, f"nginx.conf has no {shipped}"
            text = text.replace(shipped, ours)
        (self.folder / "nginx.conf").write_text(text)
        if os.geteuid() == 0:
            os.chown(self.folder, pwd.getpwnam("nobody").pw_uid, -1)
        command = [find_nginx(), "-e", "stderr", "-c", self.folder / "nginx.conf"]
        with (self.folder / "error.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "-g", "daemon off;"], cwd=self.folder, stderr=log, **unprivileged()
            )
        wait_until(self._answers, self.process, "nginx")

    def first_line_of_log(self) -> str:
        """nginx writes it once the caller has its answer."""
        log = self.folder / "access.log"
        wait_until(lambda: log.read_text().endswith("\n"), self.process, "nginx")
        return log.read_text().splitlines()[0]

    def stop(self) -> int:
        """Give the exit code."""
        self.process.terminate()
        code = self.process.wait(START_SECONDS)
        shutil.rmtree(self.folder)
        return code

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def named_replicas(addresses: Sequence[str]) -> str:
    """The shipped upstream with addresses in the place of Docker's resolver."""
    text = (FOLDER / "replicas.conf").read_text("utf-8")
    text = re.sub(r"^resolver.*\n", "", text, flags=re.MULTILINE)
    found = re.search(r"^ +server replica:8000 resolve (.+;)$", text, re.MULTILINE)
    assert found is not None
    servers = "\n".join(f"    server {address} {found[1]}" for address in addresses)
    return text.replace(found[0], servers)
