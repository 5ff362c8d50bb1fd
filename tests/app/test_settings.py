import pytest

from app.settings import SettingsError, load_settings


def test_every_limit_is_on_by_default():
    settings = load_settings()
    assert settings.max_body_bytes == 262_144
    assert settings.max_pending_sentences > 0
    assert settings.deadline_seconds > 0


def test_a_variable_sets_the_field_of_its_name(monkeypatch):
    monkeypatch.setenv("SOFTALIGN_MAX_TEXTS", "3")
    assert load_settings().max_texts == 3


def test_a_misspelt_variable_names_the_nearest_setting(monkeypatch):
    monkeypatch.setenv("SOFTALIGN_MAX_TEXT", "3")
    with pytest.raises(SettingsError, match="did you mean SOFTALIGN_MAX_TEXTS"):
        load_settings()


def test_a_value_that_cannot_be_used_names_its_variable(monkeypatch):
    monkeypatch.setenv("SOFTALIGN_MAX_TEXTS", "many")
    with pytest.raises(SettingsError, match="SOFTALIGN_MAX_TEXTS: "):
        load_settings()
    monkeypatch.setenv("SOFTALIGN_MAX_TEXTS", "0")
    with pytest.raises(SettingsError, match="greater than or equal to 1"):
        load_settings()


def test_variables_of_the_scripts_are_let_pass(monkeypatch):
    monkeypatch.setenv("SOFTALIGN_TORCH_INDEX", "https://example.org")
    load_settings()


@pytest.mark.parametrize(
    "variables",
    [{"drain": "25"}, {"drain": "30"}, {"drain": "3", "shutdown": "3"}, {"shutdown": "5"}],
)
def test_draining_is_a_part_of_shutting_down(monkeypatch, variables):
    for name, seconds in variables.items():
        monkeypatch.setenv(f"SOFTALIGN_{name.upper()}_SECONDS", seconds)
    with pytest.raises(SettingsError, match="DRAIN_SECONDS: must be below SOFTALIGN_SHUTDOWN"):
        load_settings()
