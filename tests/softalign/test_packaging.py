"""What the client asks of the machine that it runs on."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import softalign

ROOT = Path(__file__).parents[2]

IMPORTS_NOTHING_ELSE = """
import sys
sys.modules["numpy"] = None
import softalign
heavy = {"torch", "numpy.core", "pydantic", "fastapi", "app", "model", "training"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_client_imports_neither_service_nor_network():
    command = [sys.executable, "-c", IMPORTS_NOTHING_ELSE]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"


def project_of(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def test_alone_it_has_the_version_of_the_project_and_needs_httpx_only():
    whole, alone = project_of(ROOT), project_of(ROOT / "clients/python")
    assert softalign.__version__ == whole["version"] == alone["version"]
    assert alone["dependencies"] == [one for one in whole["dependencies"] if "httpx" in one]


def test_alone_it_can_be_installed(tmp_path):
    # From a copy: setuptools leaves a build folder.
    ignored = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
    for folder in ("softalign", "clients/python"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", "."]
    command = [sys.executable, "-m", "pip", "wheel", *options, tmp_path / "clients/python"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == {f"softalign/{path.name}" for path in (ROOT / "softalign").glob("*.*")}


def test_everything_that_is_offered_is_there():
    assert sorted(softalign.__all__) == sorted(set(softalign.__all__))
    assert [name for name in softalign.__all__ if not hasattr(softalign, name)] == []
