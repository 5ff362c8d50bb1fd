"""What may be done with which scope. What is not listed needs `admin`: new routes are closed."""

from collections.abc import Mapping

from app.authentication import Caller
from app.errors import AccessError
from app.keys import Scope

PUBLIC_PATHS = frozenset(
    {
        *("/", "/page", "/livez", "/readyz", "/openapi.json"),
        *("/docs", "/docs/oauth2-redirect", "/static-offline-docs"),
    }
)
"""What everybody may ask for; nothing behind these paths reads or writes a record."""

REQUIRED_SCOPES: Mapping[str, Scope] = {
    "POST /v1/translate": "translate",
    "POST /v1/align": "translate",
    "GET /v1/translations": "records:read",
    "DELETE /v1/translations": "records:delete",
    "GET /v1/translations/{id}": "records:read",
    "GET /v1/translations/{id}/alignment": "records:read",
    "DELETE /v1/translations/{id}": "records:delete",
    "GET /v1/models": "models:read",
    "GET /v1/languages": "models:read",
    "GET /v1/limits": "models:read",
}

OWNERS_ONLY = frozenset({"GET /v1/translations", "DELETE /v1/translations"})
"""What reaches all records of an owner: not for strangers who share one."""


def authorise(caller: Caller, route: str) -> None:
    """Refuse what `caller` may not do on `route` (method and path); raises AccessError."""
    needed = REQUIRED_SCOPES.get(route, "admin")
    if needed not in caller.scopes:
        raise AccessError("forbidden", f"This needs a key with the scope `{needed}`.")
    if caller.is_shared and route in OWNERS_ONLY:
        raise AccessError("forbidden", "This needs a key: callers without one share their records.")
