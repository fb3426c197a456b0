"""The files that a SentencePiece vocabulary can be kept in: tokenizer.model and tokenizer.json.

Used by fetch_vocabularies.py and make_sentencepiece_vocabulary.py. A vocabulary is a list of
(text, score, type) by id, with the types of sentencepiece_model.proto.
"""

import struct

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
SPACE = "\u2581"


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """A protobuf field: an int as varint, a float as fixed32, bytes with their length."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def model_bytes(pieces):
    """A serialized ModelProto: byte pair encoding, byte fallback, normalisation by identity."""
    out = b"".join(field(1, field(1, text.encode()) + field(2, float(score)) + field(3, kind))
                   for text, score, kind in pieces)
    trainer = field(3, 2) + field(35, 1)
    normalizer = field(1, b"identity") + field(3, 1) + field(4, 0) + field(5, 1)
    return out + field(2, trainer) + field(3, normalizer)


def merges_of(pieces):
    """Every cut of a piece into two others, best score first; of one score in order of the ids."""
    ids = {text: i for i, (text, _, kind) in enumerate(pieces) if kind == NORMAL}
    merges = []
    for text, i in ids.items():
        for cut in range(1, len(text)):
            left, right = ids.get(text[:cut]), ids.get(text[cut:])
            if left is not None and right is not None:
                merges.append((-pieces[i][1], i, left, right))
    return [[pieces[left][0], pieces[right][0]] for _, _, left, right in sorted(merges)]


def tokenizer_json(pieces, added):
    """A tokenizer.json as Hugging Face's converter writes it. added: its added_tokens."""
    vocabulary = {text: i for i, (text, _, _) in enumerate(pieces)}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE},
            {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "pre_tokenizer": None,
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"Sequence": {"id": "A", "type_id": 0}}],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                    {"Sequence": {"id": "B", "type_id": 1}}],
                           "special_tokens": {}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>",
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
                  "vocab": vocabulary, "merges": merges_of(pieces)}}


def added_entry(token_id, content, special=True, rstrip=False):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False,
            "rstrip": rstrip, "normalized": False, "special": special}


def added_decoder(added):
    """The added_tokens_decoder of a tokenizer_config.json."""
    return {str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in added}
