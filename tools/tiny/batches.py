"""Endless training batches of token ids, packed from the documents of corpus.py."""

import random

import torch

from corpus import documents

# One row in four begins inside a document, so that a cut text is nothing unusual to the model.
MID_DOCUMENT_SHARE = 0.25


def document_ids(document, hf_tokenizer, end_id):
    """Ids of one document up to its <|endoftext|>; conversations go through the chat template."""
    if isinstance(document, str):
        return hf_tokenizer.encode(document, add_special_tokens=False) + [end_id]
    text = hf_tokenizer.apply_chat_template(document, tokenize=False)
    ids = hf_tokenizer.encode(text, add_special_tokens=False)
    return ids if ids[-1] == end_id else ids + [end_id]


class Packer:
    """Packs documents into rows of any length; a row's last document is cut at the row's end."""

    def __init__(self, seed, family, phase, hf_tokenizer, end_id):
        self._documents = documents(seed, family, phase)
        self._tokenizer = hf_tokenizer
        self._end_id = end_id
        self._rng = random.Random(seed)

    def batch(self, rows, length):
        """int64 tensor [rows, length]."""
        return torch.tensor([self._row(length) for _ in range(rows)])

    def _row(self, length):
        row = document_ids(next(self._documents), self._tokenizer, self._end_id)
        if self._rng.random() < MID_DOCUMENT_SHARE:
            row = row[self._rng.randrange(len(row)) :]
        while len(row) < length:
            row += document_ids(next(self._documents), self._tokenizer, self._end_id)
        return row[:length]
