import json
import shutil

import pytest

from app.errors import InvalidInputError
from app.models import LoadedModel, LoadedModels, StartupError, load_models, named_checkpoints


@pytest.fixture
def two_models(tiny_models, plain_models):
    [tiny], [plain] = tiny_models, plain_models
    return LoadedModels([tiny, LoadedModel("plain", plain.checkpoint)])


def test_a_folder_of_checkpoints_a_checkpoint_and_a_run_folder_all_load(tiny_checkpoint, tmp_path):
    assert [one.name for one in load_models(tiny_checkpoint.parent)] == ["tiny"]
    assert [one.name for one in load_models(tiny_checkpoint)] == ["tiny"]
    shutil.copytree(tiny_checkpoint, tmp_path / "mine" / "checkpoint")
    assert [one.name for one in load_models(tmp_path / "mine")] == ["tiny"]
    assert [one.name for one in load_models(tmp_path)] == ["tiny"]


def test_a_checkpoint_of_a_run_has_the_name_of_the_run(tiny_checkpoint, tmp_path):
    folder = tmp_path / "mine" / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": "checkpoint"}))
    assert [one.name for one in load_models(tmp_path / "mine")] == ["mine"]


def test_folders_that_are_being_written_are_not_looked_at(tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "tiny")
    (tmp_path / ".other").mkdir()
    (tmp_path / ".other" / "manifest.json").write_text("{")
    assert [one.name for one in load_models(tmp_path)] == ["tiny"]


@pytest.mark.parametrize("folder", ["missing", "empty"])
def test_a_folder_without_checkpoints_is_told_in_one_line(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(StartupError, match="SOFTALIGN_CHECKPOINTS") as caught:
        load_models(tmp_path / folder)
    assert "\n" not in str(caught.value)


def test_a_broken_checkpoint_names_its_file_in_one_line(tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "tiny")
    weights = tmp_path / "tiny" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(StartupError, match=r"model\.safetensors") as caught:
        load_models(tmp_path)
    assert "\n" not in str(caught.value)


def test_two_checkpoints_of_one_name_are_refused(tiny_checkpoint, tmp_path):
    shutil.copytree(tiny_checkpoint, tmp_path / "a")
    shutil.copytree(tiny_checkpoint, tmp_path / "b")
    for find in (load_models, named_checkpoints):  # at the start, and at a reload
        with pytest.raises(StartupError, match="have the name tiny"):
            find(tmp_path)


def test_a_model_is_chosen_by_name_or_by_languages(two_models):
    assert two_models.choose("plain", None, None).name == "plain"
    assert two_models.choose("tiny", "en", "fr").name == "tiny"
    assert two_models.languages() == {"en": ["fr"]}


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (("other", None, None), "unknown_model"),
        (("tiny", "fr", None), "unknown_language_pair"),
        ((None, "en", "fr"), "unknown_language_pair"),
        ((None, None, None), "unknown_language_pair"),
    ],
)
def test_a_choice_that_fits_none_or_several_lists_them(two_models, asked, code):
    with pytest.raises(InvalidInputError, match="tiny") as caught:
        two_models.choose(*asked)
    assert caught.value.code == code


def test_a_single_model_needs_no_choice(tiny_models):
    assert tiny_models.choose(None, None, None).name == "tiny"
    assert tiny_models.choose(None, None, "fr").name == "tiny"


def test_a_run_without_a_checkpoint_yet_is_told_so(tmp_path):
    (tmp_path / "prepared").mkdir()
    (tmp_path / "prepared" / "manifest.json").write_text("{}")
    with pytest.raises(StartupError, match="there is no checkpoint under"):
        load_models(tmp_path)
