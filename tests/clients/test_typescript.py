"""The committed OpenAPI document and the types made of it are those of this service."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings

FOLDER = Path(__file__).parents[2] / "clients" / "typescript"
TYPES = (FOLDER / "softalign.d.ts").read_text("utf-8")
STALE = "run clients/typescript/generate"


def test_the_document_is_that_of_the_service():
    committed = json.loads((FOLDER / "openapi.json").read_text("utf-8"))
    assert committed == json.loads(json.dumps(create_app(Settings()).openapi())), STALE


def test_the_types_are_made_of_this_document():
    digest = hashlib.sha256((FOLDER / "openapi.json").read_bytes()).hexdigest()
    assert TYPES.partition("\n")[0] == f"// From openapi.json, SHA-256 {digest}", STALE


def test_every_schema_has_a_type_by_its_own_name():
    schemas = json.loads((FOLDER / "openapi.json").read_text("utf-8"))["components"]["schemas"]
    assert [name for name in schemas if f"export type {name} = " not in TYPES] == []


def test_the_readme_shows_the_example_that_is_type_checked():
    readme = (FOLDER / "README.md").read_text("utf-8")
    example = (FOLDER / "example.ts").read_text("utf-8")
    shown = readme.partition("```ts\n")[2].partition("```")[0]
    assert shown.strip() in example


@pytest.fixture(scope="module")
def npm():
    program = shutil.which("npm")
    if program is None or not (FOLDER / "node_modules").is_dir():
        pytest.skip("there is no Node.js, or `npm ci` was not run in clients/typescript")
    return program


def test_the_tool_makes_the_same_types(npm, tmp_path):
    for name in ("package.json", "openapi.json"):
        shutil.copy(FOLDER / name, tmp_path)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    subprocess.run([npm, "run", "--silent", "types"], cwd=tmp_path, check=True)
    assert (tmp_path / "generated.d.ts").read_text("utf-8") == TYPES.partition("\n")[2], STALE


def test_types_and_example_agree(npm):
    subprocess.run([npm, "run", "--silent", "check"], cwd=FOLDER, check=True)
