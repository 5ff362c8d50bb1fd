"""Copying and reversing: tasks whose true alignment is known, learned end to end in seconds."""

import torch

from model.alignment import links
from model.batch import pad_sentences
from model.config import ModelConfig
from model.hypothesis import SearchOptions
from model.search import beam_search
from model.seq2seq import Seq2Seq
from training.loss import label_smoothed_cross_entropy

SYMBOLS = range(4, 14)
BOS, EOS, PAD = 2, 3, 0


def random_sentence(generator):
    length = int(torch.randint(2, 9, (), generator=generator))
    symbols = torch.randint(SYMBOLS.start, SYMBOLS.stop, (length,), generator=generator)
    return symbols.tolist()


def learn(order, steps=450):
    torch.manual_seed(1)
    model = Seq2Seq(
        ModelConfig(
            source_vocabulary_size=SYMBOLS.stop,
            target_vocabulary_size=SYMBOLS.stop,
            embedding_size=24,
            encoder_units=24,
            decoder_units=24,
            attention_units=24,
            dropout=0.0,
        )
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 * (1 - step / steps)
        sentences = [random_sentence(generator) for _ in range(32)]
        source = pad_sentences([[*sentence, EOS] for sentence in sentences], PAD)
        targets = pad_sentences([[*order(sentence), EOS] for sentence in sentences], PAD)
        inputs = torch.cat([torch.full((32, 1), BOS), targets.ids[:, :-1]], dim=1)
        forced = model(source.ids, source.lengths, inputs)
        sums = label_smoothed_cross_entropy(forced.logits, targets.ids, pad_id=PAD, smoothing=0.0)
        optimizer.zero_grad()
        (sums.smoothed / sums.tokens).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model.eval()


def found(model, sentence):
    batch = pad_sentences([[*sentence, EOS]], PAD)
    (hypotheses,) = beam_search(model, batch, SearchOptions(beam_size=3))
    best = hypotheses[0]
    weights = best.weights[:-1, :-1]
    return list(best.tokens[:-1]), [(link.target, link.source) for link in links(weights, 0.5)]


def test_copying_is_aligned_on_the_diagonal():
    model = learn(lambda sentence: sentence)
    for sentence in ([4, 9, 7], [13, 12, 5, 6, 8, 10], [11, 4]):
        tokens, pairs = found(model, sentence)
        assert tokens == sentence
        assert pairs == [(i, i) for i in range(len(sentence))]


def test_reversing_is_aligned_on_the_other_diagonal():
    model = learn(lambda sentence: sentence[::-1])
    for sentence in ([4, 9, 7], [13, 12, 5, 6, 8, 10], [11, 4]):
        tokens, pairs = found(model, sentence)
        assert tokens == sentence[::-1]
        assert pairs == [(i, len(sentence) - 1 - i) for i in range(len(sentence))]
