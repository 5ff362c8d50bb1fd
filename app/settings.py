"""What an operator can set: the environment variable of each is `SOFTALIGN_` and its name."""

import difflib
import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated

from pydantic import (
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "SOFTALIGN_"

SCRIPT_VARIABLES = frozenset(
    {
        "SOFTALIGN_PYTHON",
        "SOFTALIGN_TORCH_INDEX",
        "SOFTALIGN_TEST_POSTGRES_URL",
        "SOFTALIGN_TEST_REDIS_URL",
    }
)
"""Variables of the scripts and the tests; the service lets them pass."""


def _split_networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Networks = Annotated[
    tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split_networks)
]
"""Networks, as one string with commas between them."""


class SettingsError(Exception):
    """An environment variable is misspelt or holds a value that cannot be used; it is named."""


class Settings(BaseSettings):
    """All settings of the service. Build it with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )

    checkpoints: Path = Path("checkpoints")
    """Folder with one checkpoint folder for each model; also one checkpoint or one run folder."""

    threads: int = Field(default=1, ge=0, le=256)
    """Threads of PyTorch for one decoding step; 0 lets PyTorch choose (one for each core)."""

    max_body_bytes: int = Field(default=262_144, ge=1_024)
    """Largest request body, in bytes; a larger one gets 413 before it is read."""

    max_header_bytes: int = Field(default=16_384, ge=1_024)
    """Largest sum of header names and values, in bytes; more gets 431."""

    max_header_fields: int = Field(default=64, ge=8)
    """Most header fields of one request; more gets 431."""

    max_target_bytes: int = Field(default=4_096, ge=256)
    """Longest address with its query, in bytes; a longer one gets 414."""

    max_connections: int = Field(default=1_024, ge=1)
    """Most open connections; above it the longest idle one makes room, else there is a 503."""

    max_connections_per_address: int = Field(default=512, ge=1)
    """Most open connections of one address, such as a proxy's."""

    header_seconds: float = Field(default=10.0, gt=0, le=600)
    """Longest time for the head of a request to arrive; then 408."""

    body_seconds: float = Field(default=30.0, gt=0, le=600)
    """Longest time for a body to arrive; then 408."""

    send_seconds: float = Field(default=30.0, gt=0, le=600)
    """Longest time in which a caller takes nothing of a response; then the connection is cut."""

    allowed_hosts: str = Field(default="*", min_length=1)
    """Names that `Host` may have, divided by commas; `*` is any name that is well-formed."""

    max_json_depth: int = Field(default=16, ge=4, le=100)
    """Deepest nesting of arrays and objects in a body; deeper gets 400."""

    max_texts: int = Field(default=32, ge=1)
    """Most texts in one request."""

    max_text_characters: int = Field(default=2_000, ge=1)
    """Longest text, in Unicode code points."""

    max_text_tokens: int = Field(default=1_024, ge=1)
    """Most source pieces of one text, the end of each sentence included."""

    max_request_tokens: int = Field(default=8_000, ge=1)
    """Most source pieces of all texts of a request together."""

    max_sentence_tokens: int = Field(default=128, ge=8)
    """Most source pieces of one sentence; a longer one is split and reported as `split`."""

    max_beam_size: int = Field(default=8, ge=1, le=64)
    """Widest beam that a request may ask for; `n_best` is bounded by its beam."""

    max_output_tokens: int = Field(default=600, ge=8)
    """Most target pieces of one sentence, whatever its length."""

    max_matrix_cells: int = Field(default=250_000, ge=1_000)
    """Most weights in one response in dense form; more gets 413 that proposes `sparse`."""

    max_pending_sentences: int = Field(default=1_024, ge=1)
    """Most sentences translated or waiting at once; more gets 503 (an idle service takes any)."""

    max_pending_tokens: int = Field(default=65_536, ge=1)
    """Most source pieces translated or waiting at once; until a text is read they are guessed."""

    max_caller_share: float = Field(default=0.5, gt=0, le=1)
    """Part of both that one caller can take up; beyond it a second request of theirs gets 429."""

    max_wait_seconds: float = Field(default=5.0, gt=0, le=600)
    """Longest estimated wait for a first step; a request that would wait longer gets 503."""

    max_rows: int = Field(default=32, ge=1, le=4_096)
    """Most hypotheses decoded side by side, over all models; the rest wait for a place."""

    deadline_seconds: float = Field(default=30.0, gt=0, le=600)
    """Longest time for one request; after it the answer is 504. A request may shorten it."""

    retry_after_seconds: int = Field(default=5, ge=1, le=60)
    """Upper end of `Retry-After`, drawn at random from 1 second on, so that callers spread."""

    stall_seconds: float = Field(default=5.0, gt=0, le=60)
    """Longest decoding step; a worker that takes longer is stuck and is replaced."""

    keep_alive_seconds: int = Field(default=15, ge=1)
    """Idle time after which a kept-alive connection is closed."""

    shutdown_seconds: float = Field(default=25.0, gt=0, le=600)
    """Time from SIGTERM to the end; requests that are not done by then get 503."""

    drain_seconds: float = Field(default=5.0, ge=0, le=600, validate_default=True)
    """Part of it in which new requests are still taken, for balancers to notice `/readyz`."""

    admin_port: int | None = Field(default=None, ge=0, le=65_535)
    """Port of the admin listener (metrics, models); without one there is none."""

    admin_host: str = "127.0.0.1"
    """Address of the admin listener, which must not be reachable by callers."""

    tracing_endpoint: str | None = Field(default=None, pattern=r"^https?://[^\s/]+")
    """Where OpenTelemetry traces go, as `http://collector:4318/v1/traces` (extra `tracing`)."""

    tracing_share: float = Field(default=0.1, ge=0, le=1)
    """Part of the requests that are traced, where a `traceparent` of theirs does not say it."""

    data: Path = Path("data")
    """Folder of the SQLite database `softalign.db`; made when it is missing."""

    database_url: SecretStr | None = None
    """`postgresql://user:password@host/name` (extra `postgres`) instead of SQLite in `data`."""

    database_url_file: Path | None = None
    """File that holds the database's URL, such as a mounted secret."""

    database_statement_seconds: float = Field(default=2.0, gt=0, le=60)
    """Longest time for one statement, a lock that it waits for included."""

    database_pool_seconds: float = Field(default=1.0, gt=0, le=60)
    """Longest wait for a connection of the pool."""

    database_pool_size: int = Field(default=10, ge=1, le=100)
    """Most connections, which are kept open; on SQLite there is one more, for tidying."""

    record_ttl_seconds: int = Field(default=30 * 86_400, ge=0)
    """How long a stored translation can be fetched; 0 stores none. A request may shorten it."""

    max_record_bytes: int = Field(default=2 * 2**20, ge=1_024)
    """Largest stored translation, in bytes after compression; more gets 413."""

    max_page_size: int = Field(default=100, ge=1, le=1_000)
    """Most translations in one page of the list."""

    purge_seconds: int = Field(default=60, ge=1)
    """Time between two rounds that delete what has expired."""

    allow_anonymous: bool = False
    """Serve other machines although there are no keys: anybody who can connect may translate."""

    key_environment: str = Field(default="live", pattern=r"^[a-z0-9]{1,12}$")
    """Part of every key, so that one of a test system is no good in production."""

    trusted_proxies: Networks = ()
    """Addresses or networks (CIDR), divided by commas, whose `X-Forwarded-For` is believed."""

    redis_url: SecretStr | None = None
    """`redis://host:port/0` (extra `redis`): replicas count requests together there."""

    redis_url_file: Path | None = None
    """File that holds the URL of Redis, such as a mounted secret."""

    replicas: int = Field(default=1, ge=1)
    """Replicas that share Redis; while it is away, each grants its part of a quota."""

    key_requests_per_minute: int = Field(default=60, ge=0)
    """Requests of one key in a minute; 0 is no limit, as for the next four."""

    key_requests_per_second: int = Field(default=20, ge=0)
    """Requests of one key in a second: its burst."""

    key_tokens_per_minute: int = Field(default=120_000, ge=0)
    """Source and target pieces of one key in a minute."""

    address_requests_per_minute: int = Field(default=10, ge=0)
    """Requests without a key of one address (IPv6: of one /64) in a minute."""

    failed_keys_per_minute: int = Field(default=20, ge=0)
    """Keys that are no good from one address in a minute; good ones from there still work."""

    @field_validator("drain_seconds")
    @classmethod
    def _drain_within_shutdown(cls, drain: float, fields: ValidationInfo) -> float:
        if drain >= fields.data.get("shutdown_seconds", drain + 1):
            raise PydanticCustomError(
                "drain_seconds", f"must be below {PREFIX}SHUTDOWN_SECONDS, of which it is a part"
            )
        return drain

    @property
    def host_names(self) -> frozenset[bytes] | None:
        """The names of `allowed_hosts`, in lower case; None where any will do."""
        if self.allowed_hosts == "*":
            return None
        names = (name.strip().lower() for name in self.allowed_hosts.split(","))
        return frozenset(name.encode() for name in names if name)


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: in one line, for a name that does not exist (with the nearest one that does)
            and for a value that cannot be used.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known | SCRIPT_VARIABLES:
            nearest = difflib.get_close_matches(name.upper(), sorted(known), n=1)
            advice = f"; did you mean {nearest[0]}?" if nearest else ""
            raise SettingsError(f"there is no setting {name}{advice}")
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        variable = PREFIX + str(first["loc"][0]).upper() if first["loc"] else PREFIX + "…"
        raise SettingsError(f"{variable}: {first['msg']}") from None


def read_secret(settings: Settings, name: str) -> str | None:
    """The setting `name`, or the content of the file that `name_file` points to; else None.

    Raises:
        SettingsError: the file cannot be read.
    """
    value: SecretStr | None = getattr(settings, name)
    if value is not None:
        return value.get_secret_value().strip()
    file: Path | None = getattr(settings, f"{name}_file")
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{PREFIX}{name.upper()}_FILE: {file} cannot be read ({type(error).__name__})"
        ) from None
