"""The page over HTTP: what is sent, and under which policy."""

import re

import pytest

from app.page.delivery import FILES, MEDIA_TYPES

pytestmark = pytest.mark.anyio

ASSETS = sorted(path.relative_to(FILES).as_posix() for path in FILES.rglob("*") if path.is_file())

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'"
)


async def test_front_page_is_html_under_the_strict_policy(client):
    response = await client.get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cross-origin-opener-policy"] == "same-origin"
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in response.headers["permissions-policy"]


@pytest.mark.parametrize("asset", ASSETS)
async def test_every_file_has_its_type_and_the_policy(client, asset):
    response = await client.get(f"/page/{asset}")
    assert response.status_code == 200
    assert response.headers["content-type"] == MEDIA_TYPES[f".{asset.rpartition('.')[2]}"]
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.content == (FILES / asset).read_bytes()


async def test_file_that_the_browser_has_is_not_sent_again(client):
    first = await client.get("/page/page.js")
    again = await client.get("/page/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"] == "no-cache"


async def test_head_of_the_front_page_has_no_body(client):
    response = await client.head("/")
    assert response.status_code == 200
    assert response.content == b""


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/page/none.js", 404, "not_found"),
        ("GET", "/page/../delivery.py", 404, "not_found"),
        ("GET", "/page/%2e%2e/delivery.py", 404, "not_found"),
        ("POST", "/page/page.js", 405, "method_not_allowed"),
        ("POST", "/", 405, "method_not_allowed"),
        ("GET", "/none", 404, "not_found"),
        ("GET", "/v1/translate", 405, "method_not_allowed"),
    ],
)
async def test_other_addresses_are_problems_as_everywhere(client, method, path, status, code):
    response = await client.request(method, path)
    assert response.status_code == status
    assert response.json()["code"] == code


async def test_page_is_no_part_of_the_api_document(client):
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if not path.startswith("/v1/") and path.count("/") > 1]
    assert "/" not in paths


@pytest.mark.parametrize("asset", [name for name in ASSETS if name.endswith(".html")])
def test_html_has_no_inline_script_or_style(asset):
    text = (FILES / asset).read_text("utf-8")
    assert "style=" not in text
    assert "<style" not in text
    assert not re.search(r"\son\w+=", text)
    scripts = [part.partition(">")[0] for part in text.split("<script")[1:]]
    assert all("src=" in script or 'type="application/json"' in script for script in scripts)
