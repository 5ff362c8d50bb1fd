"""`docs/training.md` names every setting, reason and command; what it shows is understood."""

from dataclasses import fields
from pathlib import Path

import pytest
from typer.main import get_command

from training.__main__ import cli
from training.cleaning_report import REASONS
from training.config_reader import DERIVED, SECTIONS, read_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "training.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (section, field.name)
        for section, settings in SECTIONS.items()
        for field in fields(settings)
        if field.name not in DERIVED
    ],
)
def test_every_setting_is_documented(section, name):
    assert f"| `{section}` | `{name}` |" in TEXT


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_for_dropping_a_pair_is_documented(reason):
    assert f"`{reason}`" in TEXT


def test_every_command_and_option_is_documented():
    for name, command in get_command(cli).commands.items():
        assert f"python -m training {name}" in TEXT
        for parameter in command.params:
            for option in parameter.opts:
                assert not option.startswith("--") or option == "--help" or f"`{option}`" in TEXT


@pytest.mark.parametrize(
    ("document", "begin", "end"),
    [("README.md", "<<'TOML'\n", "\nTOML\n"), ("docs/training.md", "```toml\n", "\n```")],
)
def test_configurations_that_are_shown_are_understood(tmp_path, document, begin, end):
    text = (ROOT / document).read_text("utf-8")
    (tmp_path / "shown.toml").write_text(text.split(begin)[1].split(end)[0], "utf-8")
    assert read_config(tmp_path / "shown.toml").run.is_relative_to(tmp_path / "runs")
