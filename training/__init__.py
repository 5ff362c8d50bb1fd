"""Offline training: corpora, tokenizer, batches, loss, trainer, evaluation."""
