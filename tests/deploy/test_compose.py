"""docker-compose.yml: what starts, what it may do, and that its settings exist."""

import ipaddress
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings, load_settings, read_secret

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
UNITS = {"s": 1, "m": 60}
MIN_VERSION = (1, 28)
"""The first that knows profiles."""


def with_defaults(text: str) -> str:
    return VARIABLE.sub(r"\1", str(text))


def seconds(duration: str) -> int:
    return int(duration[:-1]) * UNITS[duration[-1]]


def in_profile(name: str) -> set[str]:
    return {service for service, told in SERVICES.items() if name in told["profiles"]}


def compose_command() -> list[str]:
    """The newest Compose of this machine; skips without one."""
    plugins = [f"/usr/{place}/docker/cli-plugins/docker-compose" for place in ("libexec", "lib")]
    candidates = [["docker", "compose"], ["docker-compose"], *([plugin] for plugin in plugins)]
    found = []
    for command in candidates:
        if shutil.which(command[0]) is None:
            continue
        told = subprocess.run([*command, "version"], capture_output=True, text=True, check=False)
        version = re.search(r"[Cc]ompose.*?(\d+)\.(\d+)\.\d+", told.stdout)
        if told.returncode == 0 and version is not None:
            found.append(((int(version[1]), int(version[2])), command))
    if not found or max(found)[0] < MIN_VERSION:
        pytest.skip("no Docker Compose: install it")
    return max(found)[1]


def test_what_starts_without_a_profile_is_one_service_that_needs_nothing_else():
    assert "COMPOSE_PROFILES=single" in (ROOT / ".env").read_text("utf-8").splitlines()
    assert in_profile("single") == {"softalign"}
    assert {"secrets", "depends_on", "networks"}.isdisjoint(SERVICES["softalign"])


def test_every_service_is_in_one_profile():
    assert all(len(service["profiles"]) == 1 for service in SERVICES.values())
    assert in_profile("scale") == {
        *("nginx", "replica", "postgres", "redis", "prometheus", "grafana")
    }


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_do_more_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period", "logging"} <= set(service)
    assert all("noexec,nosuid,nodev,size=" in mount for mount in service.get("tmpfs", []))
    assert "privileged" not in service
    health = service["healthcheck"]
    assert seconds(health["start_period"]) >= seconds(health["timeout"])


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_runs_as_root(name):
    service = SERVICES[name]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    [image_user] = re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE)
    user = image_user if "build" in service else service["user"]
    assert int(user.partition(":")[0]) > 0


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_version(name):
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"])


def test_everything_is_published_on_this_machine_only_and_the_admin_listener_nowhere():
    ports = [with_defaults(port) for told in SERVICES.values() for port in told.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert not [port for port in ports if port.endswith(":8001")]
    assert "ports" not in SERVICES["replica"]


def test_only_who_needs_a_network_is_in_it():
    members = {
        network: {name for name, told in SERVICES.items() if network in told.get("networks", [])}
        for network in COMPOSE["networks"]
    }
    assert members == {
        "outside": {"nginx"},
        "proxy": {"nginx", "replica"},
        "storage": {"replica", "postgres", "redis"},
        "monitoring": {"replica", "prometheus", "grafana"},
        "operators": {"prometheus", "grafana"},
    }
    internal = {name for name, told in COMPOSE["networks"].items() if told and told["internal"]}
    assert internal == {"proxy", "storage", "monitoring"}


def test_the_proxy_is_trusted_in_its_own_network_only():
    trusted = with_defaults(SERVICES["replica"]["environment"]["SOFTALIGN_TRUSTED_PROXIES"])
    [subnet] = COMPOSE["networks"]["proxy"]["ipam"]["config"]
    assert trusted == with_defaults(subnet["subnet"])
    assert ipaddress.ip_network(trusted).is_private


@pytest.mark.parametrize("name", ["softalign", "replica"])
def test_its_variables_are_settings_and_its_grace_covers_theirs(name, monkeypatch):
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, with_defaults(value))
    settings = load_settings()
    assert seconds(SERVICES[name]["stop_grace_period"]) >= settings.shutdown_seconds + 5


def test_nginx_waits_longer_than_a_request_may_take():
    text = (ROOT / "deploy/nginx/nginx.conf").read_text("utf-8")
    defaults = Settings.model_fields
    read_timeout = re.search(r"proxy_read_timeout (\w+);", text)
    assert seconds(read_timeout[1]) > defaults["deadline_seconds"].default
    assert seconds(SERVICES["nginx"]["stop_grace_period"]) > seconds(read_timeout[1])
    body = re.search(r"client_max_body_size (\d+)k;", text)
    assert int(body[1]) * 1024 >= defaults["max_body_bytes"].default
    replicas = (ROOT / "deploy/nginx/replicas.conf").read_text("utf-8")
    idle = re.search(r"keepalive_timeout (\w+);", replicas)
    assert seconds(idle[1]) < defaults["keep_alive_seconds"].default


def test_every_file_that_is_mounted_exists():
    mounted = [
        volume.split(":")[0]
        for told in SERVICES.values()
        for volume in told.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounted
    assert [path for path in mounted if not (ROOT / path).exists()] == []
    assert all(":ro" in v for t in SERVICES.values() for v in t.get("volumes", []) if v[0] == ".")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy/make-secrets", folder], check=True, capture_output=True)
    return folder


def test_the_secrets_that_are_asked_for_are_those_that_are_made(secrets):
    files = {name: Path(told["file"]) for name, told in COMPOSE["secrets"].items()}
    assert {path.name for path in files.values()} == {path.name for path in secrets.iterdir()}
    assert {path.parent for path in files.values()} == {Path("deploy/secrets")}
    asked = {secret for told in SERVICES.values() for secret in told.get("secrets", [])}
    assert asked == set(files)


def test_secrets_fit_together_and_are_made_once(secrets):
    first = {path.name: path.read_text().strip() for path in secrets.iterdir()}
    assert f":{first['postgres_password']}@postgres:" in first["database_url"]
    password = first["redis_auth"].removeprefix("requirepass ")
    assert f":{password}@redis:" in first["redis_url"]
    assert len({first["postgres_password"], password, first["grafana_password"]}) == 3
    subprocess.run([ROOT / "deploy/make-secrets", secrets], check=True, capture_output=True)
    assert {path.name: path.read_text().strip() for path in secrets.iterdir()} == first


def test_nobody_else_can_enter_the_folder_of_secrets(secrets):
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o444}


def test_half_a_set_of_secrets_is_not_completed(secrets):
    (secrets / "redis_url").unlink()
    again = subprocess.run(
        [ROOT / "deploy/make-secrets", secrets], capture_output=True, text=True, check=False
    )
    assert again.returncode == 1
    assert "postgres_password" in again.stderr
    assert not (secrets / "redis_url").exists()


def test_the_service_reads_its_secrets_from_files(secrets):
    settings = Settings(
        database_url_file=secrets / "database_url", redis_url_file=secrets / "redis_url"
    )
    assert read_secret(settings, "database_url").endswith("@postgres:5432/softalign")
    assert read_secret(settings, "redis_url").endswith("@redis:6379/0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What Compose reads, where nothing that this machine has set gets in the way."""
    for name in ("docker-compose.yml", ".env"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("profile", "services"),
    [([], {"softalign"}), (["--profile", "scale"], in_profile("scale"))],
    ids=["no profile", "scale"],
)
def test_compose_itself_takes_the_file(project, profile, services):
    command = compose_command()
    variables = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
    run = subprocess.run(
        [*command, *profile, "config"],
        cwd=project,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # Compose 1 lists those of every profile.
    assert services <= set(yaml.safe_load(run.stdout)["services"])
