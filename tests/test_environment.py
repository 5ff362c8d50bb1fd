"""scripts/environment: one virtual environment, prepared once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Answers to pip are logged, all else is the real interpreter's. An installation takes a moment, so
# that two scripts at once would overlap if nothing kept them apart.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *"-m pip --version"*) exit 0 ;;
    *"-m pip"*) sleep 0.2; echo "$*" >>{log}; exit {status} ;;
esac
exec {python} "$@"
"""


@pytest.fixture
def project(tmp_path):
    """A repository of two files whose .venv logs every call of pip."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/environment", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    write_python(tmp_path, status=0)
    return tmp_path


def write_python(project, status):
    python = project / ".venv/bin/python"
    python.parent.mkdir(parents=True, exist_ok=True)
    log = project / "pip.log"
    python.write_text(FAKE_PYTHON.format(log=log, status=status, python=sys.executable))
    python.chmod(0o755)


def start(project, command, **variables):
    script = f"source {project}/scripts/environment; {command}"
    environment = {**os.environ, "SOFTALIGN_PYTHON": sys.executable, **variables}
    return subprocess.Popen(
        ["bash", "-c", script], env=environment, text=True, stderr=subprocess.PIPE
    )


def run(project, command, **variables):
    process = start(project, command, **variables)
    complaint = process.communicate(timeout=60)[1]
    return process.returncode, complaint


def pip_calls(project):
    log = project / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_unchanged_project_calls_pip_once(project):
    assert run(project, "prepare_environment dev")[0] == 0
    [call] = pip_calls(project)
    assert call.endswith(f"--editable {project}[dev]")
    assert run(project, "prepare_environment dev")[0] == 0
    assert run(project, "prepare_environment")[0] == 0
    assert len(pip_calls(project)) == 1


def test_changed_project_is_installed_again(project):
    run(project, "prepare_environment")
    with (project / "pyproject.toml").open("a") as file:
        file.write("# another line\n")
    run(project, "prepare_environment")
    assert len(pip_calls(project)) == 2


def test_failed_installation_says_so_and_is_tried_again(project):
    write_python(project, status=1)
    status, complaint = run(project, "prepare_environment")
    assert status == 1
    assert "could not be installed" in complaint
    write_python(project, status=0)
    assert run(project, "prepare_environment")[0] == 0
    assert len(pip_calls(project)) == 2


def test_two_scripts_at_once_install_once(project):
    both = [start(project, "prepare_environment dev") for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
    assert [process.returncode for process in both] == [0, 0]
    assert len(pip_calls(project)) == 1


def test_old_python_is_refused_by_name(project, tmp_path):
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    status, complaint = run(project, "prepare_environment", SOFTALIGN_PYTHON=str(old))
    assert status == 1
    assert f"{old} is not a Python 3.11 or newer" in complaint


def test_first_python_that_is_new_enough_is_taken(project, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "python3").write_text("#!/bin/sh\nexit 1\n")
    (bin_folder / "python3.12").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    for script in bin_folder.iterdir():
        script.chmod(0o755)
    path = f"{bin_folder}:{os.environ['PATH']}"
    found = "[[ $(find_python) == python3.12 ]]"
    assert run(project, found, SOFTALIGN_PYTHON="", PATH=path)[0] == 0


def test_machine_without_a_new_python_is_told_what_to_do(project, tmp_path):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14", "python"):
        (bin_folder / name).write_text("#!/bin/sh\nexit 1\n")
        (bin_folder / name).chmod(0o755)
    path = f"{bin_folder}:{os.environ['PATH']}"
    status, complaint = run(project, "prepare_environment", SOFTALIGN_PYTHON="", PATH=path)
    assert status == 1
    assert "Python 3.11 or newer is needed" in complaint


def test_python_without_venv_module_is_told_the_package(project, tmp_path):
    python = tmp_path / "python3.11"
    python.write_text(
        f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1 ;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    shutil.rmtree(project / ".venv")
    status, complaint = run(project, "prepare_environment", SOFTALIGN_PYTHON=str(python))
    assert status == 1
    assert "python3-venv" in complaint


def test_index_that_nobody_answers_is_given_up(project):
    # Port 9 (discard) of this machine: refused at once where nothing listens.
    assert run(project, "answers http://127.0.0.1:9")[0] == 1
