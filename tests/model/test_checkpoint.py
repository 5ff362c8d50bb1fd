"""A checkpoint round-trips, and each way of breaking one is an error that says what is broken."""

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceTrainer

from model.alignment_head import AlignmentHead, HeadConfig
from model.batch import pad_sentences
from model.checkpoint import CheckpointError, add_alignment_head, load_checkpoint, save_checkpoint
from model.config import ModelConfig
from model.seq2seq import Seq2Seq
from model.tokenizer import Tokenizer

SIZES = {"embedding_size": 4, "encoder_units": 3, "decoder_units": 5, "attention_units": 6}


def tiny_model(size, **choices):
    torch.manual_seed(5)
    config = ModelConfig(
        source_vocabulary_size=size, target_vocabulary_size=size, **SIZES, **choices
    )
    return Seq2Seq(config).eval()


def save(folder, tokenizer, model=None, other=None, **options):
    settings = {
        "source_language": "en",
        "target_language": "fr",
        "training": {"recipe": "tiny"},
        "metrics": {"bleu": 1.5},
        "card": "# A tiny model\n",
        "dtype": torch.float32,
    }
    save_checkpoint(
        folder,
        model=model or tiny_model(tokenizer.size),
        source_tokenizer=tokenizer,
        target_tokenizer=other or tokenizer,
        **(settings | options),
    )


@pytest.fixture
def folder(tmp_path, joint_tokenizer):
    save(tmp_path / "en-fr", joint_tokenizer)
    return tmp_path / "en-fr"


def edit_manifest(folder, edit):
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def edit_weights(folder, edit):
    """Change the weights and make size and digest fit, as a forger or a faulty trainer would."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    edit(weights)
    save_file(weights, path)
    restate(folder, "model.safetensors")


def restate(folder, name):
    data = (folder / name).read_bytes()
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    edit_manifest(folder, lambda values: values["files"].__setitem__(name, entry))


def error_of(folder):
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    return str(caught.value)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"share_embeddings": False},
        {"share_embeddings": False, "tie_output": False},
        {"cell": "lstm", "attention_query": "previous"},
        {"cell": "rnn", "attention": "none"},
    ],
)
def test_a_checkpoint_round_trips(tmp_path, joint_tokenizer, choices):
    model = tiny_model(joint_tokenizer.size, **choices)
    save(tmp_path / "a", joint_tokenizer, model)
    loaded = load_checkpoint(tmp_path / "a")
    assert loaded.manifest.config == model.config
    assert loaded.manifest.name == "a"
    assert loaded.manifest.metrics == {"bleu": 1.5}
    assert not loaded.model.training
    source, inputs = pad_sentences([[9, 8, 3]], 0), torch.tensor([[2, 7]])
    expected = model(source.ids, source.lengths, inputs)
    actual = loaded.model(source.ids, source.lengths, inputs)
    assert torch.equal(actual.logits, expected.logits)


def test_a_name_stays_when_the_folder_is_copied(folder, joint_tokenizer):
    save(folder, joint_tokenizer, name="everyday")
    assert load_checkpoint(folder.rename(folder.parent / "elsewhere")).manifest.name == "everyday"


def test_half_precision_is_the_default_and_comes_back_as_float32(tmp_path, joint_tokenizer):
    save(tmp_path / "a", joint_tokenizer, dtype=torch.float16)
    on_disk = load_file(tmp_path / "a" / "model.safetensors")
    assert {weight.dtype for weight in on_disk.values()} == {torch.float16}
    loaded = load_checkpoint(tmp_path / "a").model
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}


def test_tied_weights_are_stored_once_and_stay_tied(folder):
    assert "output.weight" not in load_file(folder / "model.safetensors")
    model = load_checkpoint(folder).model
    assert model.output.weight is model.target_embedding.weight


def test_a_joint_tokenizer_is_stored_once(folder):
    assert not (folder / "target.spm").exists()
    loaded = load_checkpoint(folder)
    assert loaded.source_tokenizer.serialized == loaded.target_tokenizer.serialized


def test_two_tokenizers_are_told_apart(tmp_path, joint_tokenizer, train_joint_tokenizer):
    other = train_joint_tokenizer("identity")
    model = tiny_model(joint_tokenizer.size, share_embeddings=False)
    save(tmp_path / "a", joint_tokenizer, model, other)
    loaded = load_checkpoint(tmp_path / "a")
    assert loaded.target_tokenizer.serialized == other.serialized != joint_tokenizer.serialized


def test_the_digest_names_the_content(tmp_path, joint_tokenizer):
    save(tmp_path / "1" / "a", joint_tokenizer)
    save(tmp_path / "2" / "a", joint_tokenizer)
    save(tmp_path / "3" / "a", joint_tokenizer, card="# Another card\n")
    digests = [load_checkpoint(tmp_path / n / "a").digest for n in "123"]
    assert digests[0] == digests[1] != digests[2]


def test_loading_leaves_the_random_generator_alone(folder):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    load_checkpoint(folder)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "MODEL_CARD.md"])
def test_a_truncated_file_is_named(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-1])
    message = error_of(folder)
    assert f"{name}: size: has {len(data) - 1} bytes, the manifest says {len(data)}" in message


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "MODEL_CARD.md"])
def test_one_flipped_bit_is_noticed(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    assert f"{name}: sha256: differs" in error_of(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "source.spm", "manifest.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert f"{name}: missing" in error_of(folder)


def test_a_missing_folder_is_named(tmp_path):
    assert "absent: not a folder" in error_of(tmp_path / "absent")


def test_a_missing_weight_is_named(folder):
    edit_weights(folder, lambda weights: weights.pop("output.bias"))
    assert "model.safetensors: output.bias: missing weight" in error_of(folder)


def test_an_unknown_weight_is_named(folder):
    edit_weights(folder, lambda weights: weights.__setitem__("extra", torch.zeros(1)))
    assert "model.safetensors: extra: unknown weight" in error_of(folder)


def test_a_wrong_shape_is_named(folder):
    edit_weights(folder, lambda weights: weights.__setitem__("output.bias", torch.zeros(3)))
    assert "model.safetensors: output.bias: shape is (3,)" in error_of(folder)


def test_a_wrong_type_is_named(folder):
    def edit(weights):
        weights["output.bias"] = weights["output.bias"].to(torch.int32)

    edit_weights(folder, edit)
    assert "model.safetensors: output.bias: type is torch.int32" in error_of(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(folder, value):
    edit_weights(folder, lambda weights: weights["output.bias"].__setitem__(1, value))
    assert "model.safetensors: output.bias: holds NaN or infinity" in error_of(folder)


def test_what_is_not_safetensors_is_refused(folder):
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    restate(folder, "model.safetensors")
    assert "model.safetensors: not a safetensors file" in error_of(folder)


def test_a_tokenizer_of_another_size_is_refused(folder, pairs):
    (folder / "source.spm").write_bytes(other_tokenizer(pairs, vocab_size=400))
    restate(folder, "source.spm")
    message = error_of(folder)
    assert "source.spm: source_vocabulary_size: the tokenizer has 400" in message


def test_a_tokenizer_with_other_special_ids_is_refused(folder, pairs):
    ids = {"pad_id": 3, "unk_id": 0, "bos_id": 1, "eos_id": 2}
    (folder / "source.spm").write_bytes(other_tokenizer(pairs, vocab_size=500, **ids))
    restate(folder, "source.spm")
    assert "source.spm: pad_id: the tokenizer has 3" in error_of(folder)


def other_tokenizer(pairs, **options):
    settings = {"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3} | options
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter([sentence for pair in pairs for sentence in pair]),
        model_writer=model,
        byte_fallback=True,
        minloglevel=2,
        **settings,
    )
    return model.getvalue()


def test_shared_embeddings_with_two_tokenizers_are_refused(folder, train_joint_tokenizer):
    (folder / "target.spm").write_bytes(train_joint_tokenizer("identity").serialized)
    restate(folder, "target.spm")
    edit_manifest(folder, lambda values: values.update(target_tokenizer="target.spm"))
    assert "manifest.json: target_tokenizer: differs" in error_of(folder)


def test_what_is_not_a_tokenizer_is_refused(folder):
    (folder / "source.spm").write_bytes(b"not a model")
    restate(folder, "source.spm")
    assert "source.spm: " in error_of(folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v.update(format=2), "format: is 2, this version reads 1; install a newer"),
        (lambda v: v.update(format="1"), "format: is '1', of type str"),
        (lambda v: v.update(format=True), "format: is True, of type bool"),
        (lambda v: v.pop("format"), "format: missing field"),
        (lambda v: v.pop("metrics"), "metrics: missing field"),
        (lambda v: v.update(extra=1), "extra: unknown field"),
        (lambda v: v.update(source_language=3), "source_language: is 3, of type int"),
        (lambda v: v["config"].pop("cell"), "config.cell: missing field"),
        (lambda v: v["config"].update(cell="qrnn"), "config: cell is 'qrnn'"),
        (lambda v: v["config"].update(decoder_units="5"), "config: decoder_units is '5'"),
        (lambda v: v["config"].update(extra=1), "config: unknown fields: ['extra']"),
        (lambda v: v["config"].update(decoder_units=6), "the manifest's config gives"),
        (lambda v: v["config"].update(decoder_units=1 << 40), "model.safetensors: "),
        (lambda v: v["config"].update(decoder_units=1 << 80), "model.safetensors: "),
        (lambda v: v.update(source_tokenizer="x.spm"), "source_tokenizer: 'x.spm' is not among"),
        (lambda v: v["files"].pop("model.safetensors"), "files: 'model.safetensors' is not among"),
        (lambda v: v["files"].update(a=3), "files.a: is 3"),
        (lambda v: v["files"].update(a={"size": 1}), "files.a.sha256: missing field"),
        (lambda v: v["files"]["source.spm"].update(size="1"), "files.source.spm.size: is '1'"),
        (lambda v: v["files"]["source.spm"].update(size=-1), "source.spm: size: "),
        (lambda v: v["files"]["source.spm"].update(size=1 << 80), "source.spm: size: "),
    ],
)
def test_a_wrong_manifest_names_the_field(folder, edit, message):
    edit_manifest(folder, edit)
    assert message in error_of(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "is list at the top"),
        ("null", "is NoneType at the top"),
        ("{", "not valid JSON"),
        ("", "not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": 1, "format": 1}', "format: appears more than once"),
        ('{"format": NaN}', "holds NaN"),
        ('{"format": "' + "x" * 2_000_000 + '"}', "at most 1048576 are allowed"),
    ],
)
def test_what_is_not_a_manifest_is_refused(folder, text, message):
    (folder / "manifest.json").write_text(text)
    full = error_of(folder)
    assert "manifest.json: " in full
    assert message in full
    assert len(full) < 500


def test_a_manifest_that_is_not_utf8_is_refused(folder):
    (folder / "manifest.json").write_bytes(b'{"name": "\xff"}')
    assert "manifest.json: 'utf-8' codec" in error_of(folder)


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../secret", "..", ".", "", "a\\b"]
)
def test_a_path_in_the_manifest_is_refused(folder, name):
    (folder.parent / "secret").write_text("secret")
    edit_manifest(folder, lambda v: v["files"].update({name: {"sha256": "", "size": 6}}))
    assert "must be the plain name of a file" in error_of(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_link_out_of_the_folder_is_refused(folder, name):
    (folder / name).rename(folder.parent / "outside")
    (folder / name).symlink_to(folder.parent / "outside")
    assert f"{name}: a link that leads out of the checkpoint" in error_of(folder)


def test_the_folder_itself_may_be_a_link(folder):
    (folder.parent / "current").symlink_to(folder)
    assert load_checkpoint(folder.parent / "current").manifest.name == "en-fr"


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused(folder):
    (folder / "source.spm").unlink()
    os.mkfifo(folder / "source.spm")
    assert "source.spm: not a regular file" in error_of(folder)
    (folder / "source.spm").unlink()
    (folder / "source.spm").mkdir()
    assert "source.spm: not a regular file" in error_of(folder)


def test_saving_replaces_a_checkpoint_and_leaves_nothing_beside_it(folder, joint_tokenizer):
    save(folder, joint_tokenizer, metrics={"bleu": 2.0})
    assert load_checkpoint(folder).manifest.metrics == {"bleu": 2.0}
    assert [path.name for path in folder.parent.iterdir()] == ["en-fr"]


def test_a_crash_between_the_two_renames_loses_nothing(folder):
    folder.rename(folder.parent / ".en-fr.previous")
    assert load_checkpoint(folder).manifest.metrics == {"bleu": 1.5}


def test_weights_that_are_not_finite_are_not_saved(folder, joint_tokenizer):
    model = tiny_model(joint_tokenizer.size)
    model.output.bias.data[0] = 1e6
    with pytest.raises(CheckpointError, match=r"output\.bias: not finite as torch\.float16"):
        save(folder, joint_tokenizer, model, dtype=torch.float16)
    assert load_checkpoint(folder).manifest.metrics == {"bleu": 1.5}


def test_metrics_that_json_cannot_hold_are_not_saved(folder, joint_tokenizer):
    with pytest.raises(CheckpointError, match="training or metrics: not plain JSON"):
        save(folder, joint_tokenizer, metrics={"bleu": float("nan")})


def test_a_full_disk_leaves_the_checkpoint_as_it_was(folder, joint_tokenizer, monkeypatch):
    def full(_descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"not written, No space left.* MB needed.* MB free"):
        save(folder, joint_tokenizer, metrics={"bleu": 2.0})
    assert load_checkpoint(folder).manifest.metrics == {"bleu": 1.5}
    assert [path.name for path in folder.parent.iterdir()] == ["en-fr"]


def test_files_are_synced_before_the_rename_and_the_folder_after(
    folder, joint_tokenizer, monkeypatch
):
    calls = []
    fsync, rename = os.fsync, Path.rename

    def spy_fsync(descriptor):
        calls.append(("fsync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        fsync(descriptor)

    def spy_rename(self, target):
        calls.append(("rename", self.name))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(Path, "rename", spy_rename)
    save(folder, joint_tokenizer)
    files = ["model.safetensors", "source.spm", "MODEL_CARD.md", "manifest.json", ".en-fr.writing"]
    assert calls == [
        *[("fsync", name) for name in files],
        ("rename", "en-fr"),
        ("rename", ".en-fr.writing"),
        ("fsync", folder.parent.name),
    ]


KILLED_SAVES = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from model.checkpoint import load_checkpoint, save_checkpoint

torch.set_num_threads(1)
folder = Path(sys.argv[1])
loaded = load_checkpoint(folder)


def save_for_ever():
    while True:
        save_checkpoint(
            folder, model=loaded.model, source_tokenizer=loaded.source_tokenizer,
            target_tokenizer=loaded.target_tokenizer, source_language="en", target_language="fr",
            training={}, metrics={}, card="x" * 500_000,
        )


random.seed(3)
unfinished = 0
for _ in range(50):
    child = os.fork()
    if child == 0:
        save_for_ever()
    time.sleep(random.uniform(0.01, 0.05))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    unfinished += (folder.parent / f".{folder.name}.writing").exists()
    load_checkpoint(folder)
print(unfinished)
"""


def test_fifty_killed_saves_never_leave_a_broken_checkpoint(folder):
    result = subprocess.run(
        [sys.executable, "-c", KILLED_SAVES, str(folder)], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) > 0  # else no kill met a save half way, and nothing was tested


def test_a_tokenizer_is_not_parsed_before_its_digest_is_known(folder, monkeypatch):
    parsed = []
    init = Tokenizer.__init__
    monkeypatch.setattr(
        Tokenizer, "__init__", lambda self, data: (parsed.append(data), init(self, data))[1]
    )
    (folder / "source.spm").write_bytes(bytes(100))
    assert "source.spm: size: " in error_of(folder)
    assert parsed == []


@pytest.fixture
def headed(tmp_path, joint_tokenizer):
    """A checkpoint whose model has an alignment head."""
    model = tiny_model(joint_tokenizer.size)
    head = AlignmentHead(model.config, 7, refinement_channels=3)
    folder = tmp_path / "headed"
    save(folder, joint_tokenizer, model)
    add_alignment_head(
        folder, head, threshold=0.375, metrics={"aer": 9.5}, card="# Aligned", dtype=torch.float32
    )
    return folder, model, head


def test_a_head_comes_back_with_its_threshold(headed):
    folder, _, head = headed
    checkpoint = load_checkpoint(folder)
    shape = HeadConfig(units=7, threshold=0.375, refinement_channels=3)
    assert checkpoint.manifest.alignment_head == shape
    assert checkpoint.manifest.metrics == {"bleu": 1.5, "aer": 9.5}
    assert (folder / "MODEL_CARD.md").read_text() == "# Aligned"
    assert not checkpoint.alignment_head.training
    saved = head.state_dict()
    for name, weight in checkpoint.alignment_head.state_dict().items():
        torch.testing.assert_close(weight, saved[name], rtol=0, atol=0)


def test_a_head_leaves_the_translator_file_as_it_is(headed, tmp_path, joint_tokenizer):
    folder, model, _ = headed
    save(tmp_path / "plain", joint_tokenizer, model)
    plain, with_head = (load_checkpoint(one).manifest.files for one in (tmp_path / "plain", folder))
    assert plain["model.safetensors"] == with_head["model.safetensors"]
    assert "alignment_head.safetensors" not in plain


def test_a_new_head_takes_the_place_of_the_old_one(headed):
    folder, model, _ = headed
    add_alignment_head(folder, AlignmentHead(model.config, 3), threshold=0.5, metrics={"aer": 8.0})
    checkpoint = load_checkpoint(folder)
    assert checkpoint.manifest.alignment_head == HeadConfig(units=3, threshold=0.5)
    assert checkpoint.alignment_head.refinement is None
    assert checkpoint.manifest.metrics["aer"] == 8.0


def test_a_head_from_before_there_were_refinements_has_none(headed):
    folder, model, _ = headed
    add_alignment_head(folder, AlignmentHead(model.config, 3), threshold=0.5, metrics={})
    edit_manifest(folder, lambda values: values["alignment_head"].pop("refinement_channels"))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.manifest.alignment_head == HeadConfig(units=3, threshold=0.5)
    assert checkpoint.alignment_head.refinement is None


def test_a_head_of_another_network_is_refused(headed):
    folder, model, _ = headed
    other = AlignmentHead(replace(model.config, decoder_units=9), units=3)
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(CheckpointError, match=r"state\.weight: shape"):
        add_alignment_head(folder, other, threshold=0.5, metrics={})
    assert (folder / "manifest.json").read_bytes() == before


def test_a_head_is_not_put_on_weights_that_came_after_it_was_trained(headed):
    folder, model, head = headed
    digest = load_checkpoint(folder).digest
    add_alignment_head(folder, head, threshold=0.5, metrics={}, digest=digest)
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(CheckpointError, match="another checkpoint by now; begin again"):
        add_alignment_head(
            folder, AlignmentHead(model.config, 3), threshold=0.5, metrics={}, digest=digest
        )
    assert (folder / "manifest.json").read_bytes() == before


def test_a_model_without_head_says_nothing_of_it(folder):
    assert "alignment_head" not in json.loads((folder / "manifest.json").read_text())
    assert load_checkpoint(folder).alignment_head is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda v: v["alignment_head"].update(units=8), "alignment_head.safetensors"),
        (lambda v: v["alignment_head"].update(units=0), r"alignment_head\.units is 0"),
        (lambda v: v["alignment_head"].update(threshold=2.0), r"alignment_head\.threshold is 2.0"),
        (lambda v: v["alignment_head"].update(threshold="high"), r"alignment_head\.threshold: is"),
        (lambda v: v["alignment_head"].pop("units"), r"alignment_head\.units: missing"),
        (lambda v: v["alignment_head"].update(depth=2), r"alignment_head\.depth: unknown"),
        (
            lambda v: v["alignment_head"].update(refinement_channels=-1),
            r"alignment_head\.refinement_channels is -1",
        ),
        (
            lambda v: v["alignment_head"].update(refinement_channels="3"),
            r"alignment_head\.refinement_channels: is",
        ),
        (lambda v: v["alignment_head"].pop("refinement_channels"), "alignment_head.safetensors"),
        (
            lambda v: v["alignment_head"].update(refinement_channels=10**12),
            "no network can have its sizes",
        ),
        (lambda v: v.update(alignment_head=None), "alignment_head: is None"),
        (lambda v: v["files"].pop("alignment_head.safetensors"), "not among files"),
    ],
)
def test_a_head_that_does_not_fit_is_named(headed, edit, message):
    folder, _, _ = headed
    edit_manifest(folder, edit)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


def test_a_network_without_attention_has_no_head(headed):
    folder, _, _ = headed
    gone = ("attention.query.weight", "attention.query.bias", "attention.key.weight")
    edit_manifest(folder, lambda values: values["config"].update(attention="none"))
    edit_weights(
        folder,
        lambda w: [w.pop(f"decoder.{name}") for name in (*gone, "attention.energy.weight")],
    )
    assert "without attention" in error_of(folder)
