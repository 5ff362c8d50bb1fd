"""The mean of checkpoints is a checkpoint, and only of networks that have one."""

from dataclasses import replace

import pytest
import torch
from rich.console import Console

from model.checkpoint import CheckpointError, load_checkpoint
from tests.training.conftest import write_checkpoint
from training.__main__ import main
from training.checkpoint_average import average_checkpoints
from training.config_reader import read_config
from training.run import train

QUIET = Console(quiet=True)


def test_every_weight_is_the_mean_and_the_manifest_names_both(write_corpus, tmp_path):
    config = write_corpus()
    folders = []
    for seed in (1, 2):
        run = replace(
            config,
            run=tmp_path / f"seed-{seed}",
            training=replace(config.training, seed=seed, max_steps=1),
        )
        folder = train(run, QUIET)
        assert folder is not None
        folders.append(folder)
    average_checkpoints(folders, tmp_path / "mean")
    one, two, mean = (load_checkpoint(folder) for folder in (*folders, tmp_path / "mean"))
    moved = 0
    for name, weight in mean.model.state_dict().items():
        first, second = one.model.state_dict()[name], two.model.state_dict()[name]
        # Half precision on disk, as every checkpoint.
        torch.testing.assert_close(weight, (first + second) / 2, rtol=1e-3, atol=1e-6)
        moved += int((first != second).any())
    assert moved > 5
    assert mean.manifest.name == "mean"
    assert mean.manifest.metrics == {}
    assert mean.manifest.training["average_of"] == [
        f"{checkpoint.manifest.name} {checkpoint.digest[:12]}" for checkpoint in (one, two)
    ]
    card = (tmp_path / "mean" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"`seed-2 {two.digest[:12]}`" in card
    assert "## Recipe" in card
    assert "## Metrics" not in card
    assert card.endswith("## Limits\n\nNot stated by whoever trained it.\n")
    average_checkpoints([folders[0], folders[1], folders[1]], tmp_path / "weighted")
    weighted = load_checkpoint(tmp_path / "weighted")
    for name, weight in weighted.model.state_dict().items():
        first, second = one.model.state_dict()[name], two.model.state_dict()[name]
        torch.testing.assert_close(weight, (first + 2 * second) / 3, rtol=1e-3, atol=1e-6)
    card = (tmp_path / "weighted" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"`seed-1 {one.digest[:12]}`, `seed-2 {two.digest[:12]}` (2 times)" in card
    average_checkpoints([folders[0], tmp_path / "mean"], tmp_path / "again")
    card = (tmp_path / "again" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.count("## Limits") == card.count("## Recipe") == 1
    assert f"mean of those of `seed-1 {one.digest[:12]}`, `mean {mean.digest[:12]}`" in card


def test_models_of_opposite_directions_have_no_mean(write_corpus, tmp_path):
    first = train(write_corpus(), QUIET)
    assert first is not None
    toml = (tmp_path / "config.toml").read_text().replace('run = "run"', 'run = "back"')
    toml = toml.replace('"en"', '"xx"').replace('"fr"', '"en"').replace('"xx"', '"fr"')
    toml = toml.replace("[tokenizer]", f"reverse = true\n[tokenizer]\ntake_from = '{first}'")
    (tmp_path / "config.toml").write_text(toml)
    back = train(read_config(tmp_path / "config.toml"), QUIET)
    assert back is not None
    with pytest.raises(CheckpointError, match="one is fr → en and the other en → fr"):
        average_checkpoints([first, back], tmp_path / "mean")


def test_what_has_no_mean_is_refused_by_name(tiny_checkpoint, joint_tokenizer, tmp_path):
    other = write_checkpoint(tmp_path / "other", joint_tokenizer, cell="lstm")
    with pytest.raises(CheckpointError, match="cell is 'lstm' in one and 'gru' in the other"):
        average_checkpoints([tiny_checkpoint, other], tmp_path / "mean")
    with pytest.raises(CheckpointError, match="two checkpoints or more"):
        average_checkpoints([tiny_checkpoint], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_command_writes_nothing_over_what_is_there(
    tiny_checkpoint, tmp_path, monkeypatch, capsys
):
    arguments = ["average", str(tiny_checkpoint), str(tiny_checkpoint)]
    monkeypatch.setattr("sys.argv", ["training", *arguments, "--output", str(tmp_path)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "is there already; name a new folder" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["training", *arguments, "--output", str(tmp_path / "mean")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert load_checkpoint(tmp_path / "mean").alignment_head is None
