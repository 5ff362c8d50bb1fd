"""Joey NMT 2.3.0's recurrent model at our sizes: runs in an environment of its own.

Everything here is Joey's own code path, as its `translate` and `train` run it; random weights,
since speed does not depend on them. Its end-of-sentence logit is lowered so that every sentence
takes all steps, as for the other system.
"""

import gc
import logging
import sys
import time
from types import SimpleNamespace

import torch

sys.path.insert(0, __file__.rsplit("/", 1)[0])
from workers import serve
from workload import BOS, EMBEDDING, EOS, PAD, TARGET_LENGTH, UNITS, UNK, VOCABULARY

logging.disable(logging.CRITICAL)
torch.set_num_threads(int(sys.argv[1]))

from joeynmt.batch import Batch
from joeynmt.model import build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary

CPU = torch.device("cpu")
DEVICE = torch.device(sys.argv[2])
"""Where it trains; it translates on the CPU."""


def network(dropout):
    special = SimpleNamespace(
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token=None,
        unk_id=UNK,
        pad_id=PAD,
        bos_id=BOS,
        eos_id=EOS,
        lang_tags=[],
    )
    tokens = ["<pad>", "<unk>", "<s>", "</s>"] + [f"t{i}" for i in range(VOCABULARY - 4)]
    vocabulary = ordered(Vocabulary, tokens, special)
    side = {
        "type": "recurrent",
        "rnn_type": "gru",
        "embeddings": {"embedding_dim": EMBEDDING},
        "hidden_size": UNITS,
        "num_layers": 1,
        "dropout": dropout,
    }
    torch.manual_seed(1)
    return build_model(
        {
            "encoder": side | {"bidirectional": True},
            "decoder": side
            | {"attention": "bahdanau", "init_hidden": "bridge", "input_feeding": True},
            "tied_embeddings": True,
        },
        src_vocab=vocabulary,
        trg_vocab=vocabulary,
    )


def ordered(vocabulary, tokens, special):
    """A Joey vocabulary whose special tokens have our ids (it would put its own order first)."""
    made = vocabulary.__new__(vocabulary)
    made.specials, made.lang_tags = tokens[:4], []
    made._itos = tokens
    made._stoi = {token: index for index, token in enumerate(tokens)}
    made.pad_index, made.bos_index = special.pad_id, special.bos_id
    made.eos_index, made.unk_index, made.sep_index = special.eos_id, special.unk_id, None
    return made


def padded(rows):
    longest = max(map(len, rows))
    return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])


def batch_of(source, target=None, device=CPU):
    lengths = torch.tensor([len(row) for row in source])
    trg = None if target is None else padded([[BOS, *row] for row in target])
    return Batch(
        padded(source),
        lengths,
        None,
        trg,
        None,
        torch.arange(len(source)),
        device,
        pad_index=PAD,
        eos_index=EOS,
        is_train=target is not None,
    )


decoder = network(0.0).eval()
_forward = decoder.decoder.output_layer.forward


def without_end(hidden):
    logits = _forward(hidden)
    logits[..., EOS] = -1e4
    return logits


decoder.decoder.output_layer.forward = without_end
learner = network(0.3).train().to(DEVICE)
learner.loss_function = ("crossentropy", 0.1)
optimizer = torch.optim.Adam(learner.parameters(), lr=1e-3)


def decode(sentences, batch, beam):
    order = sorted(sentences, key=len, reverse=True)  # its encoder packs, and wants it so
    started = time.perf_counter()
    with torch.inference_mode():
        for begin in range(0, len(order), batch):
            part = batch_of(order[begin : begin + batch])
            search(decoder, part, TARGET_LENGTH, beam_size=beam, beam_alpha=1.0)
    return {"seconds": time.perf_counter() - started}


def train(source, target):
    started = time.perf_counter()
    batch = batch_of(source, target, DEVICE)
    batch.sort_by_src_length()
    loss, *_ = learner(
        return_type="loss",
        src=batch.src,
        trg_input=batch.trg_input,
        trg=batch.trg,
        src_mask=batch.src_mask,
        src_length=batch.src_length,
        trg_mask=batch.trg_mask,
    )
    (loss / batch.ntokens).backward()
    torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return {"seconds": time.perf_counter() - started}


gc.collect()
gc.freeze()  # as in the other system: no collection walks what never goes away
serve({"decode": decode, "train": train})
