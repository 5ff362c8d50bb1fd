"""The training loop on a tiny corpus: it learns, it resumes bit for bit, it refuses to mix runs."""

import hashlib
import io
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from training.config_reader import read_config
from training.interruption import RunLockedError, run_lock
from training.precision import Placement
from training.prepare import prepare
from training.resume import ResumeError, ResumeStore
from training.run import train
from training.trainer import Trainer, TrainingError

CPU = Placement(torch.device("cpu"), bfloat16=False)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainer")
    animals = ["cat", "dog", "bird", "fish", "horse", "cow"]
    verbs = ["sees", "likes", "hears", "follows"]
    pairs = [
        f"the {a} {v} the {b}\tle {b} {v} le {a}" for a in animals for v in verbs for b in animals
    ]
    (folder / "pairs.tsv").write_text("\n".join(pairs) + "\n", encoding="utf-8")
    (folder / "run.toml").write_text(
        """
        run = "run"
        [data]
        train = "pairs.tsv"
        validation = "pairs.tsv"
        source_language = "en"
        target_language = "fr"
        [cleaning]
        max_pieces = 60
        [tokenizer]
        vocabulary_size = 370
        [model]
        embedding_size = 16
        encoder_units = 16
        decoder_units = 16
        attention_units = 16
        [training]
        max_batch_tokens = 400
        max_steps = 12
        warmup_steps = 4
        threads = 1
        save_every_steps = 5
        [validation]
        max_pairs = 4
        beam_size = 1
        samples = 1
        """
    )
    return read_config(folder / "run.toml")


@pytest.fixture(scope="module")
def prepared(config):
    return prepare(config, Console(quiet=True))


def digest(state):
    """SHA-256 over everything that decides how training goes on."""
    buffer = io.BytesIO()
    flat = []

    def walk(value):
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                flat.append(str(key))
                walk(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                walk(item)
        elif isinstance(value, torch.Tensor):
            flat.append(value.cpu().contiguous().numpy().tobytes().hex())
        else:
            flat.append(repr(value))

    walk(state)
    buffer.write("\0".join(flat).encode())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def run_to(trainer, step):
    for _ in trainer.updates():
        if trainer.position.step == step:
            break
    return trainer


def test_resumed_run_is_the_unbroken_run_bit_for_bit(config, prepared):
    unbroken = run_to(Trainer(config, prepared, CPU), 12).state()
    half = run_to(Trainer(config, prepared, CPU), 5).state()
    buffer = io.BytesIO()
    torch.save(half, buffer)
    buffer.seek(0)
    torch.manual_seed(99)
    resumed = Trainer(config, prepared, CPU)
    resumed.restore(torch.load(buffer, weights_only=True))
    assert digest(run_to(resumed, 12).state()) == digest(unbroken)


def test_without_the_random_state_the_resumed_run_differs(config, prepared):
    unbroken = run_to(Trainer(config, prepared, CPU), 12).state()
    resumed = Trainer(config, prepared, CPU)
    resumed.restore(run_to(Trainer(config, prepared, CPU), 5).state())
    torch.manual_seed(99)
    assert digest(run_to(resumed, 12).state()) != digest(unbroken)


def test_epochs_are_planned_to_the_last_update(config, prepared):
    joined = replace(config.training, joined_share=1.0, joined_pieces=60, max_batch_tokens=130)
    epochs = replace(config, training=replace(joined, max_steps=None, max_epochs=3))
    trainer = Trainer(epochs, prepared, CPU)
    sizes = {len(trainer.plan.epoch(epoch)) for epoch in range(3)}
    assert len(sizes) > 1
    rates = [update.learning_rate for update in trainer.updates()]
    assert len(rates) == trainer.total_steps
    assert min(rates) > 0


def test_loss_falls(config, prepared):
    longer = replace(config, training=replace(config.training, max_steps=60, learning_rate=5e-3))
    losses = [update.loss for update in Trainer(longer, prepared, CPU).updates()]
    assert len(losses) == 60
    assert losses[-1] < 0.6 * losses[0]


def test_gradients_are_clipped_to_the_norm_and_counted(config, prepared):
    tight = replace(config, training=replace(config.training, clip_norm=1e-3, max_steps=1))
    trainer = run_to(Trainer(tight, prepared, CPU), 1)
    gradients = [p.grad for p in trainer.model.parameters() if p.grad is not None]
    assert float(torch.nn.utils.get_total_norm(gradients)) == pytest.approx(1e-3, rel=1e-3)
    assert trainer.position.clipped == 1


def test_update_that_is_not_finite_is_skipped_and_leaves_the_weights_alone(config, prepared):
    trainer = Trainer(config, prepared, CPU)
    before = digest(trainer.model.state_dict())
    handle = trainer.model.output.register_forward_hook(lambda _m, _i, out: out * float("nan"))
    updates = trainer.updates()
    assert next(updates).gradient_norm != next(updates).gradient_norm
    handle.remove()
    assert trainer.position.skipped == 2
    assert digest(trainer.model.state_dict()) == before
    next(updates)
    assert digest(trainer.model.state_dict()) != before
    assert all(torch.isfinite(p).all() for p in trainer.model.parameters())


def test_training_gives_up_when_no_update_is_finite(config, prepared):
    endless = replace(config, training=replace(config.training, max_steps=50))
    trainer = Trainer(endless, prepared, CPU)
    trainer.model.output.register_forward_hook(lambda _m, _i, out: out * float("inf"))
    with pytest.raises(TrainingError, match=r"not finite for 3 updates in a row.*learning_rate"):
        list(trainer.updates())


def test_resuming_with_other_settings_is_refused_with_their_difference(config, prepared):
    state = Trainer(config, prepared, CPU).state()
    other = replace(config, training=replace(config.training, learning_rate=0.5, threads=None))
    with pytest.raises(ResumeError, match=r"training\.learning_rate: 0\.002 → 0\.5") as refusal:
        Trainer(other, prepared, CPU).restore(state)
    assert "threads" not in str(refusal.value)


def test_graphs_are_asked_for_in_vain_where_there_is_no_gpu(config, prepared):
    said = []
    asked = replace(config, training=replace(config.training, cuda_graphs=True))
    trainer = run_to(Trainer(asked, prepared, CPU, say=said.append), 2)
    assert said == ["training.cuda_graphs is for one process on a GPU: training goes on without"]
    assert trainer.position.step == 2


def test_best_is_the_lowest_loss_and_never_nan(config, prepared):
    trainer = Trainer(config, prepared, CPU)
    assert trainer.record(2.0)
    assert not trainer.record(2.0)
    assert not trainer.record(float("nan"))
    assert trainer.position.stale == 2
    assert trainer.record(1.9)
    assert (trainer.position.best_loss, trainer.position.stale) == (1.9, 0)


def test_patience_ends_training(config, prepared):
    impatient = replace(config, training=replace(config.training, patience=1))
    trainer = Trainer(impatient, prepared, CPU)
    trainer.record(1.0)
    assert not trainer.finished
    trainer.record(1.0)
    assert trainer.finished


def test_moving_average_follows_the_weights(config, prepared):
    averaged = run_to(Trainer(config, prepared, CPU), 6)
    plain = Trainer(
        replace(config, training=replace(config.training, ema_decay=0.0)), prepared, CPU
    )
    run_to(plain, 6)
    name = "decoder.bridge.weight"
    latest = averaged.model.state_dict()[name]
    assert not torch.equal(averaged.averaged_model.state_dict()[name], latest)
    torch.testing.assert_close(
        plain.averaged_model.state_dict()[name], plain.model.state_dict()[name]
    )


def test_damaged_resume_state_falls_back_to_the_one_before(tmp_path):
    store = ResumeStore(tmp_path)
    store.save(5, {"step": 5})
    newest = store.save(10, {"step": 10})
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    state, complaints = store.load()
    assert state == {"step": 5}
    assert complaints == [f"{newest}: damaged (its SHA-256 does not match its name)"]


def test_damage_everywhere_never_starts_again_silently(tmp_path):
    store = ResumeStore(tmp_path)
    store.save(5, {"step": 5}).write_bytes(b"")
    with pytest.raises(ResumeError, match="start again from step 0"):
        store.load()


def test_only_the_newest_resume_states_are_kept(tmp_path):
    store = ResumeStore(tmp_path)
    for step in (1, 2, 3):
        store.save(step, {"step": step})
    assert [path.name[:13] for path in store.files()] == ["step-00000003", "step-00000002"]


def test_run_folder_is_locked_against_a_second_trainer(tmp_path):
    with run_lock(tmp_path):
        second = run_lock(tmp_path)
        with pytest.raises(RunLockedError, match="in use by process"):
            second.__enter__()
    with run_lock(tmp_path):
        pass


def test_training_run_writes_a_checkpoint_and_is_not_trained_twice(config, capsys):
    from model.checkpoint import load_checkpoint

    folder = train(config, Console())
    assert "best so far" in capsys.readouterr().out
    checkpoint = load_checkpoint(folder)
    assert checkpoint.manifest.metrics["pairs"] == 4
    card = (folder / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "en → fr" in card
    assert "| signature | nrefs:1\\|case:mixed" in card  # a bare | would end the cell
    assert train(config, Console()) == folder
    assert "step 12 " not in capsys.readouterr().out


def test_the_card_counts_the_pairs_that_there_are(config, prepared, tmp_path):
    every = replace(
        config,
        run=tmp_path / "run",
        validation=replace(config.validation, max_pairs=5000),
        training=replace(config.training, max_steps=1),
    )
    folder = train(every, Console(quiet=True))
    assert folder is not None
    assert f"| pairs | {len(prepared.validation)} |" in (folder / "MODEL_CARD.md").read_text(
        "utf-8"
    )
