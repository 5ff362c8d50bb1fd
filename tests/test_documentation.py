"""What the documents say exists, exists."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        ROOT / "app/page/files/attention-alignment/README.md",
        ROOT / "clients/typescript/README.md",
        ROOT / "examples/README.md",
        *(ROOT / "docs").glob("*.md"),
    ]
)
PACKAGES = r"app|model|training|softalign"
FOLDERS = rf"(?:{PACKAGES}|clients|examples|tests|checkpoints|benchmarks|docs|deploy|scripts|\.ci)"

# `model/attention.py`, `tests/data/`, scripts/serve: a path of ours, in code or in a code block.
NAMED_PATH = re.compile(rf"(?<![\w./-])({FOLDERS}/[\w./-]*\w/?)(?![\w*{{<…])")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)


def named_paths(text: str) -> set[str]:
    return {path for code in CODE.findall(text) for path in NAMED_PATH.findall(code)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_named_in_a_document_exists(document):
    paths = named_paths(document.read_text("utf-8"))
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document):
    links = LINK.findall(document.read_text("utf-8"))
    local = [link.partition("#") for link in links if not re.match(r"https?:", link)]
    assert [path for path, _, _ in local if not (document.parent / path).exists()] == []
    sections = [
        (path, section)
        for path, _, section in local
        if section and (not path or path.endswith(".md"))
    ]
    assert [one for one in sections if one[1] not in anchors(document, one[0])] == []


def anchors(document: Path, link: str) -> set[str]:
    """Names that the headings of a linked document have where Markdown is shown on the web."""
    text = (document.parent / link if link else document).read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_named_paths_are_found_in_code_only():
    text = "app/none.py, `app/one.py` and ```\nscripts/two --flag\n``` or `runs/mine` `docs/`"
    assert named_paths(text) == {"app/one.py", "scripts/two"}


def test_every_script_that_the_readme_names_can_be_run():
    readme = (ROOT / "README.md").read_text("utf-8")
    scripts = set(re.findall(r"\bscripts/\w+", readme))
    assert {"scripts/serve", "scripts/test"} <= scripts
    assert [name for name in sorted(scripts) if not os.access(ROOT / name, os.X_OK)] == []
