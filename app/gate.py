"""The gate of every route that is not public: key, scope and quota, before the body is read."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import iter_route_contexts

from app.authentication import Authenticator, Caller, presented_keys
from app.authorisation import PUBLIC_PATHS, authorise
from app.client_address import Network, client_of
from app.errors import AccessError, FieldError, InvalidInputError
from app.json_route import JsonRoute
from app.keys import KEY
from app.problems import MAX_FIELD_ERRORS
from app.rate_limits import Counters, RateLimits
from app.settings import Settings, read_secret
from app.storage.api_keys import ApiKeys
from app.strict_json import pointer_part

KEY_PARAMETERS = frozenset(
    {"key", "api_key", "api-key", "apikey", "x-api-key", "access_token", "token", "authorization"}
)
"""Names under which people put a key into an address."""


class Gate:
    """Decides about each request of a guarded route."""

    def __init__(
        self, authenticator: Authenticator, limits: RateLimits, trusted: Iterable[Network]
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._trusted = tuple(trusted)

    async def admit(self, request: Request, route: str) -> Caller:
        """Who sends this request, once it may pass.

        Raises:
            AccessError: a key in the address (400), no good key (401), not its scope (403).
            RateLimitedError: the caller's quota, or that of bad keys from there, is used up.
        """
        if _has_key_in_query(request.scope["query_string"]):
            raise AccessError(
                "key_in_url",
                "Addresses are written to logs and histories. Revoke this key, and send another "
                "one in a header: `Authorization: Bearer …`.",
            )
        client = client_of(request.scope, self._trusted)
        headers = request.scope["headers"]
        try:
            caller = await self._authenticator.caller(headers, client)
        except AccessError:
            if presented_keys(headers):
                await self._limits.count_failed_key(client)
            raise
        authorise(caller, route)
        request.state.quota_headers = await self._limits.admit(caller)
        return caller

    async def charge(self, caller: Caller, tokens: int) -> None:
        """Count what answering cost."""
        await self._limits.charge(caller, tokens)


@asynccontextmanager
async def open_gate(settings: Settings, keys: ApiKeys) -> AsyncIterator[Gate]:
    """The gate as the settings ask for it; raises SettingsError."""
    counters = Counters(read_secret(settings, "redis_url"), settings.replicas)
    authenticator = Authenticator(keys, settings)
    try:
        yield Gate(authenticator, RateLimits(counters, settings), settings.trusted_proxies)
    finally:
        await authenticator.close()
        await counters.close()


class GuardedRoute(JsonRoute):
    """A route behind the gate; handlers find who asks as `CallerDep`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the handler of this route; the gate comes before the body."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            gate: Gate = request.app.state.gate
            caller = await gate.admit(request, f"{request.method} {self.path}")
            request.app.state.doorkeeper.remember(request.scope, caller.identity)
            request.state.caller = caller
            if not self.dependant.query_params:
                refuse_parameters(request)
            kind, _, kid = caller.identity.partition(":")
            if kind == "key":
                request.state.facts["key_id"] = kid
            response = await handle(request)
            response.headers.update(request.state.quota_headers)
            return response

        return guarded


def refuse_parameters(request: Request) -> None:
    """Refuse names in the query of an address that takes none: they would be ignored."""
    errors = [
        FieldError(pointer_part(name), "extra_forbidden", "This address takes no parameters.")
        for name in dict.fromkeys(request.query_params)
    ]
    if errors:
        raise InvalidInputError.of(errors[:MAX_FIELD_ERRORS])


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


def check_routes(app: FastAPI) -> None:
    """Refuse to build an application with a route that is neither guarded nor listed as public."""
    open_paths = [
        context.path
        for context in iter_route_contexts(app.routes)
        if context.path not in PUBLIC_PATHS and not isinstance(context.original_route, GuardedRoute)
    ]
    if open_paths:
        raise AssertionError(
            f"{open_paths} are open to all: make them GuardedRoute, or add them to PUBLIC_PATHS"
        )


def _has_key_in_query(query: bytes) -> bool:
    text = query.decode("latin-1")
    if KEY.search(text):
        return True
    names = {name.lower() for name, _ in parse_qsl(text, keep_blank_values=True)}
    return not names.isdisjoint(KEY_PARAMETERS)
