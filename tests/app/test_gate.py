"""Who may pass: every route and method, every kind of key, and what a refusal tells."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from app.authentication import Authenticator
from app.authorisation import OWNERS_ONLY, PUBLIC_PATHS, REQUIRED_SCOPES
from app.client_address import Client
from app.errors import AccessError, StorageUnavailableError
from app.gate import GuardedRoute, check_routes
from app.keys import DEFAULT_SCOPES, SCOPES, new_key, read_key
from app.main import create_app
from app.settings import Settings
from app.storage.api_keys import ApiKey
from app.storage.clock import SECOND, utc_microseconds

pytestmark = pytest.mark.anyio

ELSEWHERE = Client("192.0.2.7", is_local=False)
HERE = Client("127.0.0.1", is_local=True)


async def make_key(app, owner="ann", scopes=DEFAULT_SCOPES, seconds=3_600, revoked=False):
    text, presented = new_key("live")
    now = utc_microseconds()
    times = (now - 10 * SECOND, now + seconds * SECOND, now if revoked else None)
    key = ApiKey(presented.kid, presented.secret_hash, owner, tuple(scopes), "", *times)
    await app.state.storage.keys.add(key)
    return text


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


def guarded_operations(app: FastAPI):
    for context in iter_route_contexts(app.routes):
        if context.path not in PUBLIC_PATHS:
            for method in sorted(context.methods):
                yield method, context.path


async def from_elsewhere(client, method, path, **arguments):
    """A request that seems to come from another machine."""
    transport = httpx.ASGITransport(
        app=client.app, raise_app_exceptions=False, client=("192.0.2.7", 1234)
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://softalign.test") as other:
        return await other.request(method, path, **arguments)


def assert_refused(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code)
    assert response.headers["Content-Type"] == "application/problem+json"


async def test_every_route_and_method_needs_a_key_once_there_is_one(client):
    await make_key(client.app)
    operations = list(guarded_operations(client.app))
    assert len(operations) >= 4
    for method, path in operations:
        response = await client.request(method, path.replace("{id}", "x"))
        assert_refused(response, 401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_every_route_and_method_needs_its_scope(client):
    keys = {scope: await make_key(client.app, scopes=[scope]) for scope in SCOPES}
    for method, path in guarded_operations(client.app):
        needed = REQUIRED_SCOPES.get(f"{method} {path}", "admin")
        for scope, text in keys.items():
            address = path.replace("{id}", "x")
            response = await client.request(method, address, headers=bearer(text))
            if scope == needed:
                assert response.status_code not in (401, 403)
            else:
                assert_refused(response, 403, "forbidden")
                assert f"`{needed}`" in response.json()["detail"]


async def test_every_route_is_listed_with_its_scope(client):
    listed = {f"{method} {path}" for method, path in guarded_operations(client.app)}
    assert listed == set(REQUIRED_SCOPES)
    assert listed >= OWNERS_ONLY


async def test_public_paths_need_no_key(client):
    await make_key(client.app)
    for path in ("/livez", "/readyz", "/docs", "/openapi.json"):
        assert (await from_elsewhere(client, "GET", path)).status_code == 200


def test_an_application_with_an_open_route_is_not_built():
    app = FastAPI(openapi_url=None)
    app.router.add_api_route("/v1/new", lambda: None, route_class_override=GuardedRoute)
    check_routes(app)
    app.router.add_api_route("/v1/open", lambda: None, route_class_override=APIRoute)
    with pytest.raises(AssertionError, match="/v1/open"):
        check_routes(app)


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_good_key_passes_in_either_header(client, header):
    text = await make_key(client.app)
    value = text if header == "X-API-Key" else f"bearer  {text}"
    response = await from_elsewhere(client, "GET", "/v1/models", headers={header: value})
    assert response.status_code == 200
    assert '"requests";q=60;w=60' in response.headers["RateLimit-Policy"]


async def test_every_kind_of_bad_key_is_refused_with_the_same_words(client):
    good = await make_key(client.app)
    unknown, _ = new_key("live")
    other_secret = good[:20] + ("A" if good[20] != "A" else "B") + good[21:]
    bad = {
        "unknown": bearer(unknown),
        "mistyped": bearer(other_secret),
        "expired": bearer(await make_key(client.app, seconds=-1)),
        "revoked": bearer(await make_key(client.app, revoked=True)),
        "other environment": bearer(new_key("test")[0]),
        "long": bearer("a" * 10_000),
        "empty": bearer(""),
        "other scheme": {"Authorization": "Basic YW5uOnNlY3JldA=="},
        "twice": {**bearer(good), "X-API-Key": good},
    }
    details = set()
    for headers in bad.values():
        response = await client.get("/v1/models", headers=headers)
        assert_refused(response, 401, "unauthorized")
        details.add(response.json()["detail"])
    assert len(details) == 1


@pytest.mark.parametrize("query", ["key={}", "API_KEY=x", "access_token", "q={}", "x=%20{}"])
async def test_a_key_in_the_address_is_refused_even_if_it_is_good(client, query):
    text = await make_key(client.app)
    response = await client.get(f"/v1/models?{query.format(text)}", headers=bearer(text))
    assert_refused(response, 400, "key_in_url")
    assert text not in response.text


async def test_the_body_is_not_read_before_the_key(client):
    await make_key(client.app)
    response = await client.post("/v1/translate", content=b"not json")
    assert_refused(response, 401, "unauthorized")


async def test_without_keys_this_machine_may_do_everything(client):
    response = await client.get("/v1/models")
    assert response.status_code == 200
    assert "RateLimit" not in response.headers


async def test_without_keys_other_machines_are_refused(client):
    assert_refused(await from_elsewhere(client, "GET", "/v1/models"), 401, "unauthorized")
    passed_on = await client.get("/v1/models", headers={"X-Forwarded-For": "192.0.2.7"})
    assert_refused(passed_on, 401, "unauthorized")


@pytest.mark.parametrize(
    "settings", [Settings(allow_anonymous=True, address_requests_per_minute=3)]
)
async def test_other_machines_may_be_allowed_within_a_quota(client):
    for _ in range(3):
        response = await from_elsewhere(client, "GET", "/v1/models")
        assert response.status_code == 200
    response = await from_elsewhere(client, "GET", "/v1/models")
    assert_refused(response, 429, "rate_limited")
    assert int(response.headers["Retry-After"]) >= 1
    assert response.headers["RateLimit"].startswith('"requests";r=0;')
    # The first key ends it.
    await make_key(client.app)
    client.app.state.gate._authenticator._keys_asked_at = None
    assert_refused(await from_elsewhere(client, "GET", "/v1/models"), 401, "unauthorized")


@pytest.mark.parametrize("settings", [Settings(key_requests_per_minute=2)])
async def test_one_key_does_not_use_up_the_quota_of_another(client):
    greedy, polite = await make_key(client.app), await make_key(client.app)
    codes = [(await client.get("/v1/models", headers=bearer(greedy))).status_code for _ in range(4)]
    assert codes == [200, 200, 429, 429]
    assert (await client.get("/v1/models", headers=bearer(polite))).status_code == 200


@pytest.mark.parametrize("settings", [Settings(failed_keys_per_minute=2)])
async def test_guessing_keys_is_limited_and_good_ones_still_work(client):
    good = await make_key(client.app)
    codes = [
        (await client.get("/v1/models", headers=bearer(new_key("live")[0]))).status_code
        for _ in range(4)
    ]
    assert codes == [401, 401, 429, 429]
    assert (await client.get("/v1/models", headers=bearer(good))).status_code == 200


@pytest.mark.parametrize("settings", [Settings(key_tokens_per_minute=5)])
async def test_pieces_count_against_the_quota(client):
    key = bearer(await make_key(client.app))
    body = {"text": "The cat sleeps on the sofa.", "store": False}
    assert (await client.post("/v1/translate", json=body, headers=key)).status_code == 200
    assert_refused(await client.post("/v1/translate", json=body, headers=key), 429, "rate_limited")


class FakeKeys:
    """Keys whose database can be away."""

    def __init__(self, *keys):
        self.keys = {key.kid: key for key in keys}
        self.is_away = False
        self.silence = None
        """An event that answers wait for, if there is one."""
        self.asked = 0

    async def find(self, kid):
        self.asked += 1
        if self.silence is not None:
            await self.silence.wait()
        if self.is_away:
            raise StorageUnavailableError(1)
        return self.keys.get(kid)

    async def exist(self):
        if self.silence is not None:
            await self.silence.wait()
        if self.is_away:
            raise StorageUnavailableError(1)
        return bool(self.keys)

    async def note_use(self, key):
        pass


def key_and_headers():
    text, presented = new_key("live")
    now = utc_microseconds()
    key = ApiKey(presented.kid, presented.secret_hash, "ann", ("translate",), "", now, now + 10**9)
    assert read_key(text, "live") == presented
    return key, [(b"authorization", f"Bearer {text}".encode())]


async def test_a_revoked_key_dies_within_the_time_of_a_verdict(monkeypatch):
    key, headers = key_and_headers()
    keys = FakeKeys(key)
    authenticator = Authenticator(keys, Settings())
    assert (await authenticator.caller(headers, ELSEWHERE)).owner == "ann"
    keys.keys.clear()
    assert (await authenticator.caller(headers, ELSEWHERE)).owner == "ann"
    assert keys.asked == 1
    monkeypatch.setattr("app.authentication.VERDICT_SECONDS", 0.0)
    with pytest.raises(AccessError):
        await authenticator.caller(headers, ELSEWHERE)
    await authenticator.close()


async def test_a_known_key_goes_on_while_the_database_is_away(monkeypatch):
    monkeypatch.setattr("app.authentication.VERDICT_SECONDS", 0.0)
    key, headers = key_and_headers()
    keys = FakeKeys(key)
    authenticator = Authenticator(keys, Settings())
    await authenticator.caller(headers, ELSEWHERE)
    keys.is_away = True
    for _ in range(3):
        assert (await authenticator.caller(headers, ELSEWHERE)).owner == "ann"
    with pytest.raises(StorageUnavailableError):
        await authenticator.caller(key_and_headers()[1], ELSEWHERE)
    monkeypatch.setattr("app.authentication.STALE_SECONDS", 0.0)
    with pytest.raises(StorageUnavailableError):
        await authenticator.caller(headers, ELSEWHERE)
    await authenticator.close()


async def test_a_silent_database_holds_up_nobody_who_was_known(monkeypatch):
    monkeypatch.setattr("app.authentication.VERDICT_SECONDS", 0.0)
    key, headers = key_and_headers()
    keys = FakeKeys(key)
    authenticator = Authenticator(keys, Settings())
    await authenticator.caller(headers, ELSEWHERE)
    keys.silence = asyncio.Event()
    for _ in range(3):
        assert (await authenticator.caller(headers, ELSEWHERE)).owner == "ann"
    assert keys.asked == 2, "it is not asked again while it is being asked"
    keys.keys.clear()
    keys.silence.set()
    await authenticator.close()
    with pytest.raises(AccessError):
        await authenticator.caller(headers, ELSEWHERE)


async def test_a_silent_database_holds_up_nobody_where_there_are_no_keys(monkeypatch):
    monkeypatch.setattr("app.authentication.VERDICT_SECONDS", 0.0)
    keys = FakeKeys()
    authenticator = Authenticator(keys, Settings())
    assert (await authenticator.caller([], HERE)).owner == "local"
    keys.silence = asyncio.Event()
    assert (await authenticator.caller([], HERE)).owner == "local"
    keys.silence.set()
    await authenticator.close()


async def test_a_first_key_is_noticed_however_slow_the_database_is(monkeypatch):
    monkeypatch.setattr("app.authentication.VERDICT_SECONDS", 0.0)
    keys = FakeKeys()
    authenticator = Authenticator(keys, Settings())
    assert (await authenticator.caller([], HERE)).owner == "local"
    key, _ = key_and_headers()
    keys.keys[key.kid] = key
    keys.silence = asyncio.Event()
    assert (await authenticator.caller([], HERE)).owner == "local"
    keys.silence.set()
    await authenticator.close()
    keys.silence = asyncio.Event()
    with pytest.raises(AccessError):
        await authenticator.caller([], HERE)


async def test_no_answer_is_not_taken_for_there_are_no_keys():
    keys = FakeKeys()
    keys.is_away = True
    authenticator = Authenticator(keys, Settings())
    with pytest.raises(StorageUnavailableError):
        await authenticator.caller([], HERE)
    keys.is_away = False
    assert (await authenticator.caller([], HERE)).owner == "local"


async def test_verdicts_do_not_pile_up(monkeypatch):
    monkeypatch.setattr("app.authentication.MAX_VERDICTS", 10)
    authenticator = Authenticator(FakeKeys(), Settings())
    for _ in range(50):
        with pytest.raises(AccessError):
            await authenticator.caller(key_and_headers()[1], ELSEWHERE)
    assert len(authenticator._verdicts) == 10


async def test_when_a_key_was_last_used_is_written_down_once_an_hour(client):
    key = bearer(await make_key(client.app))
    for _ in range(3):
        await client.get("/v1/models", headers=key)
    await client.app.state.gate._authenticator.close()
    [stored] = await client.app.state.storage.keys.list_all()
    assert stored.last_used_at is not None
    await client.app.state.storage.keys.note_use(stored)
    assert await client.app.state.storage.keys.list_all() == [stored]


async def test_no_key_is_stored_anywhere(client, data_folder):
    text = await make_key(client.app)
    await client.get("/v1/models", headers=bearer(text))
    await asyncio.sleep(0)
    secret = text.split("_", 3)[3][:43].encode()
    for path in data_folder.iterdir():
        assert secret not in path.read_bytes()


def test_no_route_is_public_that_reaches_records(tiny_models):
    app = create_app(Settings(), tiny_models)
    public = {context.path for context in iter_route_contexts(app.routes)} & PUBLIC_PATHS
    assert not any(path.startswith("/v1") for path in public)
