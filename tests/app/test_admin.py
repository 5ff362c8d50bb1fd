"""The admin listener, beside the public one of the same service."""

import httpx
import pytest

from app.admin import create_admin_app
from app.catalog import fast_network
from app.metrics import EXPOSITION_MEDIA_TYPE
from app.reload import Reloader
from tests.app.test_gate import bearer, make_key

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin(client, tiny_checkpoint):
    """A client of the admin listener; `admin.public` is one of the public listener."""
    service = client.app.state.service
    reloader = Reloader(service.catalog, tiny_checkpoint.parent, service.metrics, fast_network)
    transport = httpx.ASGITransport(
        app=create_admin_app(client.app, reloader), raise_app_exceptions=False
    )
    async with httpx.AsyncClient(transport=transport, base_url="http://admin.test") as admin:
        admin.public = client
        admin.reloader = reloader
        yield admin


async def test_metrics_are_on_the_admin_listener_alone(admin):
    await admin.public.get("/livez")
    response = await admin.get("/metrics")
    assert response.headers["content-type"] == EXPOSITION_MEDIA_TYPE
    assert 'route="/livez"' in response.text
    assert "softalign_ready 1.0" in response.text
    for path in ("/metrics", "/v1/admin/models"):
        assert (await admin.public.get(path)).status_code == 404


async def test_probes_are_on_both_and_say_the_same(admin):
    for path in ("/livez", "/readyz"):
        assert (await admin.get(path)).json() == {"status": "ok"}
    admin.public.app.state.service.lifecycle.drain()
    for client in (admin, admin.public):
        assert (await client.get("/livez")).status_code == 200
        response = await client.get("/readyz")
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        assert int(response.headers["retry-after"]) >= 1


async def test_the_models_that_serve_are_listed(admin, tiny_models):
    [model] = tiny_models
    assert (await admin.get("/v1/admin/models")).json() == {
        "models": [{"name": "tiny", "digest": model.digest, "previous_digest": None}]
    }
    assert f'digest="{model.digest}"' in (await admin.get("/metrics")).text


async def test_what_did_not_change_is_not_loaded_again(admin):
    response = await admin.post("/v1/admin/models/tiny:activate")
    assert response.json()["result"] == "unchanged"
    response = await admin.post("/v1/admin/models/tiny:rollback")
    assert (response.status_code, response.json()["code"]) == (409, "nothing_to_roll_back")


async def test_a_model_for_which_there_is_no_memory_is_refused(admin, monkeypatch):
    async def pass_the_trial(_folder):
        pass

    def fail(_model):
        raise MemoryError

    monkeypatch.setattr("app.reload.try_in_child", pass_the_trial)
    monkeypatch.setattr("app.reload.digest_in", lambda _folder: "another")
    monkeypatch.setattr(admin.reloader, "_make_network", fail)
    response = await admin.post("/v1/admin/models/tiny:activate")
    assert (response.status_code, response.json()["code"]) == (422, "model_unusable")
    assert "cannot be loaded (MemoryError)" in response.json()["detail"]
    assert [change.result for change in await admin.reloader.reload()] == ["failed"]


async def test_an_unknown_model_is_not_found(admin):
    for action in ("activate", "rollback"):
        response = await admin.post(f"/v1/admin/models/other:{action}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_web_pages_are_refused(admin):
    for origin in ("https://example.org", "null", "http://admin.test"):
        response = await admin.post("/v1/admin/models/tiny:activate", headers={"Origin": origin})
        assert (response.status_code, response.json()["code"]) == (403, "forbidden")


async def test_once_there_are_keys_the_models_need_one_with_the_scope(admin):
    translator = await make_key(admin.public.app)
    operator = await make_key(admin.public.app, scopes=["admin"])
    address = "/v1/admin/models/tiny:activate"
    assert (await admin.post(address)).status_code == 401
    assert (await admin.post(address, headers=bearer(translator))).status_code == 403
    assert (await admin.post(address, headers=bearer(operator))).status_code == 200
    assert (await admin.get("/metrics")).status_code == 200
