"""What every file of the repository keeps to, whoever wrote it."""

import re
import subprocess
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "model", "softalign", "training")
LONGEST_MODULE_LINES = 350
EXTRAS_OF_THE_IMAGE = ("detect", "postgres", "redis", "tracing")
LARGEST_FILE_BYTES = 30 * 2**20

UNSAFE = {
    r"weights_only\s*=\s*False": "runs code from the file: load with weights_only=True",
    r"\bpickle\.loads?\b": "runs code from the file: use safetensors or JSON",
    r"shell\s*=\s*True": "lets a file name become a command: pass a list of arguments",
    r"innerHTML|insertAdjacentHTML|document\.write": "lets a text become markup: use textContent",
    r"\bverify\s*=\s*False": "believes any server: leave certificates verified",
    r"\byaml\.load\(": "builds any object: use yaml.safe_load",
}


def package_files() -> list[Path]:
    return sorted(
        path
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )


def project_table() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def project_dependencies() -> list[str]:
    return project_table()["dependencies"]


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("the sources did not come as a git clone: what is tracked is not known")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.parametrize("pattern", UNSAFE)
def test_no_package_uses_an_unsafe_call(pattern):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {UNSAFE[pattern]}"
        for path in package_files()
        if path.suffix in {".py", ".js", ".html", ".css", ".svg"}
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(path, weights_only = False)",
        "pickle.load(file)",
        "subprocess.run(command, shell=True)",
        "node.innerHTML = text",
        "httpx.get(url, verify=False)",
        "yaml.load(file)",
    ],
)
def test_unsafe_calls_are_recognised(line):
    assert any(re.search(pattern, line) for pattern in UNSAFE)


def test_no_module_is_too_long_to_hold_in_the_head():
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in package_files()
        if path.suffix == ".py"
    }
    assert {name: n for name, n in lines.items() if n > LONGEST_MODULE_LINES} == {}


def test_no_module_has_a_name_that_hides_its_subject():
    vague = {"utils", "util", "helpers", "helper", "common", "base", "misc"}
    assert [str(path) for path in package_files() if path.stem in vague] == []


def test_no_tracked_file_is_large():
    sizes = {str(path.relative_to(ROOT)): path.stat().st_size for path in tracked_files()}
    assert {name: n for name, n in sizes.items() if n > LARGEST_FILE_BYTES} == {}


def test_no_open_end_is_left_in_the_code():
    marks = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b|# type: ignore(?!\[)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in package_files()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_licence_is_the_whole_apache_licence():
    licence = (ROOT / "LICENSE").read_text("utf-8")
    assert licence.lstrip().startswith("Apache License\n")
    assert "END OF TERMS AND CONDITIONS" in licence
    assert all(re.search(rf"^ +{section}\. ", licence, re.MULTILINE) for section in range(1, 10))


def test_every_dependency_has_a_lower_bound():
    extras = project_table()["optional-dependencies"].values()
    required = [*project_dependencies(), *(name for extra in extras for name in extra)]
    unbound = [name for name in required if ">=" not in name and not name.startswith("softalign[")]
    assert unbound == []


def test_scripts_image_and_project_ask_for_the_same_torch():
    bound = next(name for name in project_dependencies() if name.startswith("torch"))
    script = (ROOT / "scripts/environment").read_text("utf-8")
    image = (ROOT / "Dockerfile").read_text("utf-8")
    of_script = re.search(r"^readonly TORCH_VERSION=(\S+)$", script, re.MULTILINE)
    of_image = re.search(r"^ARG TORCH_VERSION=(\S+)$", image, re.MULTILINE)
    assert of_script is not None
    assert of_image is not None
    assert of_script[1] == of_image[1]
    assert bound.startswith(f"torch>={of_script[1]},")


def locked() -> dict[str, str]:
    lock = (ROOT / "deploy/requirements.lock").read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+) \\\n    --hash=sha256:", lock, re.MULTILINE))


def test_lock_file_pins_every_dependency_of_the_service():
    extras = project_table()["optional-dependencies"]
    of_the_image = [
        *project_dependencies(),
        *(name for extra in EXTRAS_OF_THE_IMAGE for name in extras[extra]),
    ]
    missing = [
        str(one)
        for one in map(Requirement, of_the_image)
        if one.name != "torch" and not one.specifier.contains(locked().get(one.name, "0"))
    ]
    assert missing == [], "scripts/lock writes deploy/requirements.lock anew"


def test_lock_file_has_nothing_without_a_digest():
    lock = (ROOT / "deploy/requirements.lock").read_text("utf-8")
    assert len(locked()) == len(re.findall(r"^[^\s#]", lock, re.MULTILINE)) > 50


def licence(name: str) -> str:
    """As its metadata name it, or the beginning of the licence itself."""
    about = distribution(name).metadata
    classifiers = [line for line in about.get_all("Classifier", []) if line.startswith("License")]
    named = about.get("License-Expression") or " ".join(classifiers) or about.get("License")
    return named or (distribution(name).read_text("licenses/LICENSE") or "none")[:300]


def test_every_dependency_of_the_image_has_a_licence_that_may_be_shipped():
    """Permissive, or the MPL, which asks for nothing of what only uses it."""
    shippable = re.compile(r"MIT|BSD|Apache|ISC|PSF|Mozilla|Permission is hereby granted, free")
    unclear = [
        f"{name}: {licence(name)}"
        for name in locked()
        if not shippable.search(licence(name)) or re.search(r"\bA?GPL", licence(name))
    ]
    assert unclear == []
