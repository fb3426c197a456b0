"""Makes the seeds of the fuzz targets, tests/fuzz/corpus/<target>/: small valid files of every kind
and files that are damaged in one place each. Reproducers of fixed findings ("found-*") stay.

    python3 tools/make_fuzz_corpus.py [FOLDER]    (default: tests/fuzz/corpus)

Deterministic, standard library only. One file, since the targets share builders of GGUF, safetensors,
tokenizers and JSON. The shapes are those of tests/fuzz/*_fuzz.cc.
"""

import argparse
import json
import pathlib
import struct
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parent / "vocab"))
from sentencepiece_files import field

# ---------------------------------------------------------------- GGUF

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
SCALARS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B",
           U64: "Q", I64: "q", F64: "d"}
# Name: type id, elements and bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
         "Q5_0": (6, 32, 22), "Q5_1": (7, 32, 24), "Q8_0": (8, 32, 34), "Q2_K": (10, 256, 84),
         "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210),
         "BF16": (30, 1, 2)}


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return text(value) if kind == STRING else struct.pack("<" + SCALARS[kind], value)


def entry(key, kind, value):
    return text(key) + struct.pack("<I", kind) + scalar(kind, value)


def array(key, kind, values):
    return (text(key) + struct.pack("<IIQ", ARRAY, kind, len(values)) +
            b"".join(scalar(kind, value) for value in values))


def header(tensors, entries, version=3):
    return b"GGUF" + struct.pack("<IQQ", version, tensors, entries)


def info(name, ne, kind, offset):
    return (text(name) + struct.pack("<I", len(ne)) + struct.pack(f"<{len(ne)}Q", *ne) +
            struct.pack("<IQ", kind, offset))


def padded(data, multiple=32):
    return data + bytes(-len(data) % multiple)


def weights(kind, count):
    """Bytes of `count` elements; every f16 scale is below 2, every float positive."""
    _, block, size = TYPES[kind]
    if kind == "F32":
        return struct.pack(f"<{count}f", *[(i * 37 % 17 + 1) / 16 for i in range(count)])
    return bytes((i * 37 + 11) & 0x3F for i in range(count // block * size))


def gguf(entries, tensors=(), version=3):
    """entries: encoded; tensors: (name, ne, type name)."""
    infos, data = b"", b""
    for name, ne, kind in tensors:
        count = 1
        for dim in ne:
            count *= dim
        infos += info(name, ne, TYPES[kind][0], len(data))
        data += padded(weights(kind, count))
    return padded(header(len(tensors), len(entries), version) + b"".join(entries) + infos) + data


def alphabet():
    """The byte-level alphabet of GPT-2: a printable character for each byte."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters, spare = [], 0x100
    for byte in range(256):
        characters.append(chr(byte) if byte in own else chr(spare))
        spare += byte not in own
    return characters


WORDS = ["he", "ll", "hell", "hello"]
ADDED = ["<|end|>", "<|user|>", "<|assistant|>", "<|endoftext|>"]


def tokenizer_entries(pre="gpt-4o"):
    tokens = alphabet() + WORDS + ADDED
    end = len(tokens) - 4
    return [entry("tokenizer.ggml.model", STRING, "gpt2"), entry("tokenizer.ggml.pre", STRING, pre),
            array("tokenizer.ggml.tokens", STRING, tokens),
            array("tokenizer.ggml.token_type", I32, [1] * 260 + [3, 3, 4, 3]),
            array("tokenizer.ggml.merges", STRING, ["h e", "l l", "he ll", "hell o"]),
            entry("tokenizer.ggml.eos_token_id", U32, end),
            entry("tokenizer.ggml.bos_token_id", U32, end + 3),
            entry("tokenizer.ggml.add_bos_token", BOOL, 0),
            entry("tokenizer.chat_template", STRING,
                  "{{'<|' + message['role'] + '|>' + message['content'] + '<|end|>'}}")]


SPACE = "\u2581"
BYTE_PIECES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = [SPACE, "h", "e", "l", "o", "he", "ll", "hell", "hello", SPACE + "hello"]


def sentencepiece_entries():
    tokens = ["<unk>", "<s>", "</s>"] + BYTE_PIECES + PIECES + ADDED
    types = [2, 3, 3] + [6] * 256 + [1] * len(PIECES) + [3] * len(ADDED)
    return [entry("tokenizer.ggml.model", STRING, "llama"),
            array("tokenizer.ggml.tokens", STRING, tokens),
            array("tokenizer.ggml.token_type", I32, types),
            array("tokenizer.ggml.scores", F32, [-i / 2 for i in range(len(tokens))]),
            entry("tokenizer.ggml.bos_token_id", U32, 1),
            entry("tokenizer.ggml.eos_token_id", U32, len(tokens) - 1),
            entry("tokenizer.ggml.add_space_prefix", BOOL, 1)]


def config_entries(arch, hidden, heads, kv, intermediate, key_length=None, extra=()):
    entries = [entry("general.architecture", STRING, arch),
               entry(f"{arch}.embedding_length", U32, hidden),
               entry(f"{arch}.block_count", U32, 1),
               entry(f"{arch}.feed_forward_length", U32, intermediate),
               entry(f"{arch}.attention.head_count", U32, heads),
               entry(f"{arch}.attention.head_count_kv", U32, kv),
               entry(f"{arch}.context_length", U32, 64),
               entry(f"{arch}.attention.layer_norm_rms_epsilon", F32, 1e-5),
               entry(f"{arch}.rope.freq_base", F32, 10000.0)]
    if key_length:
        entries += [entry(f"{arch}.attention.key_length", U32, key_length),
                    entry(f"{arch}.attention.value_length", U32, key_length)]
    return entries + list(extra)


def model_tensors(fused, hidden, heads, kv, head_dim, intermediate, vocab, matrix="Q4_0",
                  narrow="F16", biases=False, head=None):
    """`matrix` where rows are `hidden` wide, `narrow` where they are not."""
    q, k = heads * head_dim, kv * head_dim
    tensors = [("token_embd.weight", [hidden, vocab], matrix),
               ("output_norm.weight", [hidden], "F32")]
    if head:
        tensors.append(("output.weight", [hidden, vocab], head))
    p = "blk.0."
    tensors += [(p + "attn_norm.weight", [hidden], "F32"), (p + "ffn_norm.weight", [hidden], "F32")]
    if fused:
        tensors += [(p + "attn_qkv.weight", [hidden, q + 2 * k], matrix),
                    (p + "ffn_up.weight", [hidden, 2 * intermediate], matrix)]
    else:
        tensors += [(p + "attn_q.weight", [hidden, q], matrix),
                    (p + "attn_k.weight", [hidden, k], matrix),
                    (p + "attn_v.weight", [hidden, k], matrix),
                    (p + "ffn_gate.weight", [hidden, intermediate], matrix),
                    (p + "ffn_up.weight", [hidden, intermediate], matrix)]
    if biases:
        tensors += [(p + "attn_q.bias", [q], "F32"), (p + "attn_k.bias", [k], "F32"),
                    (p + "attn_v.bias", [k], "F32")]
    return tensors + [(p + "attn_output.weight", [q, hidden], narrow),
                      (p + "ffn_down.weight", [intermediate, hidden], narrow)]


def split_gguf(parts):
    """Parts of a split file in one input, as the target takes them apart."""
    return b"--next part--".join(parts)


def gguf_seeds():
    phi = config_entries("phi3", 32, 2, 1, 32)
    phi_tensors = model_tensors(True, 32, 2, 1, 16, 32, 264, "Q4_0", "Q8_0")
    longrope = [entry("phi3.rope.scaling.original_context_length", U32, 32),
                entry("phi3.rope.dimension_count", U32, 8)]
    factors = [("rope_factors_long.weight", [4], "F32"), ("rope_factors_short.weight", [4], "F32")]
    seeds = {
        "model-phi3": gguf(phi + tokenizer_entries(), phi_tensors),
        "model-qwen2": gguf(config_entries("qwen2", 32, 2, 1, 32),
                            model_tensors(False, 32, 2, 1, 16, 32, 8, "Q5_1", "Q5_0", True, "F16")),
        "model-llama": gguf(config_entries("llama", 32, 2, 1, 32),
                            model_tensors(False, 32, 2, 1, 16, 32, 8, "Q4_1", "BF16")),
        "model-longrope": gguf(config_entries("phi3", 8, 1, 1, 4, extra=longrope),
                               model_tensors(True, 8, 1, 1, 8, 4, 4, "F32", "F32") + factors),
        "model-version-2": gguf(config_entries("phi3", 8, 1, 1, 4),
                                model_tensors(True, 8, 1, 1, 8, 4, 4, "BF16", "F32"), version=2),
        "tokenizer-dbrx": gguf(tokenizer_entries("dbrx")),
        "tokenizer-qwen2": gguf(tokenizer_entries("qwen2")),
        "tokenizer-sentencepiece": gguf(sentencepiece_entries()),
        "every-type": gguf([entry(f"k.{kind}", kind, 1) for kind in SCALARS] +
                           [array(f"a.{kind}", kind, [0, 1]) for kind in SCALARS] +
                           [array("a.s", STRING, ["x", ""])]),
    }
    for kind in ("Q4_K", "Q5_K", "Q6_K", "Q2_K"):
        seeds[f"model-{kind.lower()}"] = gguf(
            config_entries("phi3", 256, 1, 1, 2, key_length=2),
            model_tensors(True, 256, 1, 1, 2, 2, 2, kind, "F32"))
    huge = 1 << 63
    one = lambda ne, kind, offset: padded(header(1, 0) + info("t", ne, kind, offset)) + bytes(64)
    seeds.update({
        "bad-empty": b"", "bad-magic": b"GGUX" + bytes(20), "bad-version-1": header(0, 0, 1),
        "bad-endian": header(0, 0, 0x03000000), "bad-tensor-count": header(huge, 0),
        "bad-entry-count": header(0, huge),
        "bad-key-length": header(0, 1) + struct.pack("<Q", (1 << 64) - 3),
        "bad-type": header(0, 1) + text("k") + struct.pack("<I", 13),
        "bad-array-size": header(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, U32, huge // 2 + 1),
        "bad-array-strings": header(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, STRING, 1 << 60),
        "bad-array-nested": header(0, 1) + text("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1) * 20,
        "bad-key-twice": header(0, 2) + entry("k", U8, 1) * 2,
        "bad-alignment-0": header(0, 1) + entry("general.alignment", U32, 0),
        "bad-alignment-24": header(0, 1) + entry("general.alignment", U32, 24),
        "bad-alignment-huge": header(0, 1) + entry("general.alignment", U32, 1 << 31),
        "bad-dims-0": one([], 0, 0), "bad-dims-5": one([1] * 5, 0, 0), "bad-dim-0": one([0], 0, 0),
        "bad-dims-product": one([huge, 4], 0, 0), "bad-type-removed": one([32], 4, 0),
        "bad-type-unknown": one([32], 77, 0), "bad-offset-odd": one([16], 0, 1),
        "bad-offset-huge": one([16], 0, huge), "bad-offset-end": one([16], 0, 32),
        "bad-block": one([33], 2, 0),
        "bad-overlap": padded(header(2, 0) + info("a", [16], 0, 0) + info("b", [16], 0, 32)) +
                       bytes(96),
        "bad-name-twice": padded(header(2, 0) + info("a", [8], 0, 0) + info("a", [8], 0, 32)) +
                          bytes(64),
        "bad-eos": gguf(tokenizer_entries() + [entry("tokenizer.ggml.eot_token_id", U64, huge)]),
        "bad-merge": gguf(tokenizer_entries()[:4] + [array("tokenizer.ggml.merges", STRING, ["x"])]),
        "bad-config": gguf(config_entries("phi3", 32, 0, 3, 32), phi_tensors[:2]),
    })
    split = [[entry("split.no", U16, i), entry("split.count", U16, 2),
              entry("split.tensors.count", I32, 8)] for i in range(2)]
    small = model_tensors(True, 8, 1, 1, 8, 4, 4, "F32", "F32")
    seeds["split"] = split_gguf([gguf(config_entries("phi3", 8, 1, 1, 4) + split[0], small[:3]),
                                 gguf(split[1], small[3:])])
    seeds["bad-split"] = split_gguf([gguf(split[1]), gguf(split[0])])
    return seeds


# ---------------------------------------------------------------- safetensors and index


def safetensors(entries, data, pad=True):
    head = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    if pad:
        head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + data


def safetensors_seeds():
    hidden, vocab, inner = 8, 8, 8
    shapes = {"model.embed_tokens.weight": [vocab, hidden], "model.norm.weight": [hidden]}
    p = "model.layers.0."
    shapes.update({p + "input_layernorm.weight": [hidden],
                   p + "post_attention_layernorm.weight": [hidden],
                   p + "self_attn.qkv_proj.weight": [12, hidden],
                   p + "self_attn.o_proj.weight": [hidden, 4],
                   p + "mlp.gate_up_proj.weight": [2 * inner, hidden],
                   p + "mlp.down_proj.weight": [hidden, inner]})
    seeds = {}
    for dtype, kind, size in (("F32", "F32", 4), ("BF16", "BF16", 2), ("F16", "F16", 2)):
        entries, data = {"__metadata__": {"format": "pt"}}, b""
        for name, shape in shapes.items():
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            entries[name] = {"dtype": dtype, "shape": shape,
                             "data_offsets": [len(data), len(data) + count * size]}
            data += weights(kind, count)
        seeds[f"model-{dtype.lower()}"] = safetensors(entries, data)
        seeds[f"model-{dtype.lower()}-odd"] = safetensors(
            json.dumps(entries).encode() + b" " * (len(json.dumps(entries)) % 2 == 0), data, False)
    good = lambda shape, offsets, dtype="U8": {"dtype": dtype, "shape": shape,
                                               "data_offsets": offsets}
    raw = lambda shape, offsets: (b'{"a":{"dtype":"U8","shape":' + shape + b',"data_offsets":' +
                                  offsets + b"}}")
    seeds.update({
        "dtypes": safetensors({name: good([1], [i * 8, i * 8 + 8], name)
                               for i, name in enumerate(["F64", "I64", "U64", "C64"])}, bytes(32)),
        "scalar-and-empty": safetensors({"a": good([], [0, 1]), "b": good([0, 1 << 40], [1, 1])},
                                        b"x"),
        "bad-length": b"\xff" * 8 + b"{}", "bad-short": b"1234567", "bad-array": safetensors([], b""),
        "bad-json": safetensors(b'{"a":', b""), "bad-nesting": safetensors(b'{"a":' * 200, b""),
        "bad-1e400": safetensors(raw(b"[1e400]", b"[0,8]"), bytes(8)),
        "bad-negative": safetensors(raw(b"[-8]", b"[0,8]"), bytes(8)),
        "bad-fraction": safetensors(raw(b"[8.0]", b"[0,8]"), bytes(8)),
        "bad-huge": safetensors(raw(b"[18446744073709551616]", b"[0,8]"), bytes(8)),
        "bad-product": safetensors({"a": good([1 << 32] * 3, [0, 8])}, bytes(8)),
        "bad-dims": safetensors({"a": good([1] * 2000, [0, 1])}, bytes(1)),
        "bad-reversed": safetensors({"a": good([8], [8, 0])}, bytes(8)),
        "bad-end": safetensors({"a": good([16], [0, 16])}, bytes(8)),
        "bad-overlap": safetensors({"a": good([8], [0, 8]), "b": good([6], [2, 8])}, bytes(8)),
        "bad-hole": safetensors({"a": good([2], [0, 2]), "b": good([4], [4, 8])}, bytes(8)),
        "bad-twice": safetensors(b'{"a":{},"a":{}}', b""),
        "bad-dtype": safetensors({"a": good([8], [0, 8], "F99")}, bytes(8)),
    })
    return seeds


def index_seeds():
    good = {"first": "a.safetensors", "second": "a.safetensors", "third": "b.safetensors"}
    document = lambda weight_map: json.dumps({"metadata": {"total_size": 14},
                                              "weight_map": weight_map}).encode()
    seeds = {"good": document(good), "bad-missing": document({**good, "fourth": "b.safetensors"}),
             "bad-moved": document({**good, "first": "b.safetensors"}),
             "bad-shard": document({**good, "first": "z.safetensors"}),
             "bad-both": document({**good, "first": "c.safetensors"}),
             "bad-empty": document({}), "bad-type": document({"first": 7}),
             "bad-twice": b'{"weight_map":{"first":"a.safetensors","first":"a.safetensors"}}',
             "bad-root": b"[]", "bad-surrogate": b'{"weight_map":{"\\ud800":"a.safetensors"}}'}
    for i, name in enumerate(["../a.safetensors", "/etc/passwd", "a\\b", "", ".", "..", "a\0b"]):
        seeds[f"bad-name-{i}"] = document({"first": name})
    return seeds


# ---------------------------------------------------------------- config.json


def config_seeds():
    base = {"hidden_size": 40, "num_hidden_layers": 2, "intermediate_size": 56,
            "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 8, "vocab_size": 50,
            "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
            "tie_word_embeddings": False, "sliding_window": None, "eos_token_id": 1}
    join = lambda config, generation=None: json.dumps(config).encode() + (
        b"" if generation is None else b"\0" + json.dumps(generation).encode())
    longrope = {"type": "longrope", "short_factor": [1.0, 1.5, 2.0, 2.5],
                "long_factor": [2.0, 4.0, 8.0, 16.0]}
    phi = {"model_type": "phi3", **base}
    seeds = {"phi3": join(phi, {"eos_token_id": [1, 2]}),
             "mimo": join({"model_type": "mimo", **base, "num_nextn_predict_layers": 1}),
             "qwen2": join({"model_type": "qwen2", **base, "hidden_act": "silu"}),
             "longrope": join({**phi, "rope_scaling": longrope,
                               "original_max_position_embeddings": 64}),
             "rope-parameters": join({**phi, "rope_parameters": {
                 "rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5}}),
             "window": join({**phi, "sliding_window": 7}), "bad-root": b"[]",
             "bad-nan": join(phi).replace(b"1e-05", b"NaN"),
             "bad-1e400": join(phi).replace(b"1e-05", b"1e400")}
    changes = {"heads-0": {"num_attention_heads": 0}, "kv-3": {"num_key_value_heads": 3},
               "layers": {"num_hidden_layers": 1 << 40}, "vocab": {"vocab_size": 1 << 31},
               "context": {"max_position_embeddings": 1 << 40}, "negative": {"hidden_size": -40},
               "theta": {"rope_theta": 0}, "rope-odd": {"head_dim": 7},
               "eos": {"eos_token_id": {"a": 1}}, "eos-list": {"eos_token_id": [1, "x", []]},
               "factors": {"rope_scaling": {**longrope, "long_factor": [0, -1]},
                           "original_max_position_embeddings": 64}}
    for name, change in changes.items():
        seeds["bad-" + name] = join({**phi, **change})
    return seeds


# ---------------------------------------------------------------- tokenizer.json

CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def tokenizer_json(changes=None, model=None, added=None):
    characters = alphabet()
    vocabulary = {c: i for i, c in enumerate(characters)}
    vocabulary.update({word: 256 + i for i, word in enumerate(WORDS)})
    split = {"type": "Split", "pattern": {"Regex": CL100K}, "behavior": "Isolated", "invert": False}
    bytes_step = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    document = {
        "version": "1.0",
        "added_tokens": added or [{"id": 300, "content": "<|end|>", "special": True},
                                  {"id": 301, "content": "<tool>", "special": False,
                                   "lstrip": True, "normalized": True}],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_step]},
        "post_processor": None, "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "ignore_merges": False, "vocab": vocabulary,
                  "merges": ["h e", "l l", ["he", "ll"], "hell o"], **(model or {})}}
    document.update(changes or {})
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def sentencepiece_json():
    replace = lambda found, content: {"type": "Replace", "pattern": {"String": found},
                                      "content": content}
    tokens = ["<unk>", "<s>", "</s>"] + BYTE_PIECES + PIECES
    return json.dumps({
        "added_tokens": [{"id": i, "content": tokens[i], "special": True} for i in range(3)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": SPACE}, replace(" ", SPACE)]},
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]},
        "decoder": {"type": "Sequence", "decoders": [
            replace(SPACE, " "), {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "byte_fallback": True, "unk_token": "<unk>", "fuse_unk": True,
                  "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": ["h e", "l l", "he ll", "hell o", SPACE + " hello"]}}).encode()


def tokenizer_json_seeds():
    plain = tokenizer_json()
    config = json.dumps({"bos_token": None, "eos_token": {"content": "<|end|>"},
                         "added_tokens_decoder": {"300": {"content": "<|end|>", "special": True,
                                                          "rstrip": True}},
                         "chat_template": [{"name": "default", "template": "x"}]}).encode()
    sample = "hello <tool> hell 12345\n\n it's <|end|> ".encode() + b"\xff\xc3\xa9"
    # Documents without the 256 bytes are refused late, but are short to change.
    short = lambda **changes: tokenizer_json(
        changes, {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]})
    seeds = {"plain": b"\0".join([plain, b"", b"", sample]),
             "config": b"\0".join([plain, config, b"<|im_start|><|im_end|>", sample]),
             "nfc": b"\0".join([tokenizer_json({"normalizer": {"type": "NFC"}}), b"", b"",
                                "e\u0301 hello".encode()]),
             "sentencepiece": b"\0".join([sentencepiece_json(), b"", b"", sample]),
             "short": short(),
             "bad-regex": short(pre_tokenizer={"type": "Sequence", "pretokenizers": [
                 {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"},
                 {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}]}),
             "bad-added-empty": short(added_tokens=[{"id": 3, "content": ""}]),
             "bad-added-collision": short(added_tokens=[{"id": 0, "content": "<x>"}]),
             "bad-surrogate": short().replace(b'"ab":2', b'"\\ud800":2'),
             "bad-utf8": short().replace(b'"ab":2', b'"\xc3":2'),
             "bad-merge-result": tokenizer_json(model={"vocab": {"a": 0, "b": 1},
                                                       "merges": ["a b"]}),
             "bad-config": b"\0".join([plain, config.replace(b'"300"', b'"3e2"')])}
    for name, identifier in (("sparse", 4194303), ("huge", 1 << 31), ("negative", -1), ("twice", 0)):
        seeds["id-" + name] = tokenizer_json(model={
            "vocab": {"a": 0, "b": 1, "ab": identifier}, "merges": ["a b"]})
    return seeds


# ---------------------------------------------------------------- chat


def chat_seeds():
    tools = ['d[{"type": "function", "function": {"name": "add", "parameters": {}}}]',
             "uWhat is 7 + 5?"]
    turns = ["sBe brief.", "uHello", "aHi!<|end|>", "uAgain <|im_end|> "]
    join = lambda head, messages=turns: "\0".join([head, *messages]).encode()
    seeds = {f"name-{name}": join(name) for name in ("phi4", "phi4-mini", "mimo", "phi3")}
    seeds.update({
        "phi4": join("{{'<|im_start|>' + role + '<|im_sep|>' + content + '<|im_end|>'}}"),
        "chatml": join("{{'<|im_start|>' + role + '\\n' + content + '<|im_end|>'}}"),
        "chatml-default": join("<|im_start|>system\nYou are MiMo, an AI assistant developed by "
                               "Xiaomi.<|im_end|>", turns[1:]),
        "phi4-mini": join("{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"),
        "reasoning": join("<|im_start|><|im_sep|><|im_end|></think>"),
        "unknown": join("{% for m in messages %}{{ m }}{% endfor %}"),
        "no-messages": join("mimo", []),
        "tools-phi4-mini": join("phi4-mini", tools + [
            'a<|tool_call|>[{"name": "add", "arguments": {"a": 7}}]<|/tool_call|>', "r12"]),
        "tools-mimo": join("mimo", tools + [
            'a<think>\nx\n</think>\n<tool_call>\n{"name": "add", "arguments": {"a": 7}}\n'
            "</tool_call>", "t12"]),
        "messages": join("mimo", ["m" + json.dumps([
            {"role": "assistant", "content": None,
             "tool_calls": [{"function": {"name": "add", "arguments": {"a": 1.5}}}]},
            {"role": "tool", "content": "12"}])]),
        "odd-bytes": b"phi4-mini\0u\xff\xfe<|user|>\0a\0s\0u" + b"<|" * 50})
    return seeds


# ---------------------------------------------------------------- what a program runs


def tiny_config(**changes):
    return json.dumps({"model_type": "phi3", "hidden_size": 8, "intermediate_size": 8,
                       "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1,
                       "vocab_size": 8, "max_position_embeddings": 64, "rms_norm_eps": 1e-05,
                       "head_dim": 4, "hidden_act": "silu", "tie_word_embeddings": True,
                       **changes}).encode()


def run_seeds():
    models = gguf_seeds()
    seeds = {"gguf-" + name[6:]: data for name, data in models.items()
             if name.startswith("model-") and not name.endswith("q2_k")}
    for kind in ("f32", "bf16", "f16"):
        seeds["safetensors-" + kind] = (tiny_config() + b"\0" +
                                        safetensors_seeds()["model-" + kind])
    seeds["safetensors-epsilon"] = (tiny_config(rms_norm_eps=1e-30) + b"\0" +
                                    safetensors_seeds()["model-f32"])
    infinite = bytearray(models["model-longrope"])
    infinite[-4:] = struct.pack("<f", float("inf"))
    seeds["gguf-infinite"] = bytes(infinite)
    return seeds


# ---------------------------------------------------------------- tokenizer.model


def sentencepiece_model(pieces, model_type=2, normalizer=b"identity", more=b""):
    """A serialized ModelProto. pieces: (text, type)."""
    out = b"".join(field(1, field(1, piece.encode()) + field(2, -float(i)) + field(3, kind))
                   for i, (piece, kind) in enumerate(pieces))
    settings = field(1, normalizer) + field(3, 1) + field(4, 0) + field(5, 1)
    return out + field(2, field(3, model_type) + field(35, 1)) + field(3, settings) + more


def tokenizer_model_seeds():
    pieces = ([("<unk>", 2), ("<s>", 3), ("</s>", 3)] + [(piece, 6) for piece in BYTE_PIECES] +
              [(piece, 1) for piece in PIECES])
    model = sentencepiece_model(pieces)
    added = json.dumps({"<|end|>": len(pieces), "<|user|>": len(pieces) + 1}).encode()
    config = json.dumps({"eos_token": "<|end|>", "add_bos_token": True, "added_tokens_decoder": {
        "2": {"content": "</s>", "special": False, "rstrip": True}}}).encode()
    sample = "hello  hell <|end|> \u00e9\n".encode()
    join = lambda model, added=b"", config=b"": b"\0".join([added, config, sample, model])
    return {
        "plain": join(model), "added": join(model, added, config),
        "no-bytes": join(sentencepiece_model(pieces[:3] + pieces[259:])),
        "unigram": join(sentencepiece_model(pieces, model_type=1)),
        "nmt-nfkc": join(sentencepiece_model(pieces, normalizer=b"nmt_nfkc")),
        "self-test": join(sentencepiece_model(pieces, more=field(4, field(1, field(
            1, b"hello") + field(2, b"hello"))))),
        "precompiled": join(sentencepiece_model(pieces, more=field(3, field(2, bytes(32))))),
        "user-defined": join(sentencepiece_model(pieces + [("<x>", 4)])),
        "twice": join(sentencepiece_model(pieces + [("hello", 1)])),
        "bad-cut": join(model[:-7]), "bad-length": join(model + b"\x0a\xff\xff\xff\xff\x0f"),
        "bad-empty": join(b""), "bad-added": join(model, b'{"<|end|>": 7}'),
        "bad-id": join(model, b'{"<|end|>": 99999999999}')}


# ---------------------------------------------------------------- calibration, --messages, --tools


def calibration_seeds():
    """Without the line with the hash, which the target adds."""
    head = b"midge kernel rates 2\nkey 1 x fuzz, midge\n"
    line = lambda name, encoding, rows, core, rate: (
        f"kernel {name} {encoding} {rows} {core} {rate} 17 1800000000\n".encode())
    gemv = "gemv_f32_q8b32_q4b32_8x32_"
    panel = "gemm_panel_f32_q8s256_q8s256_"
    return {
        "empty": head, "reads": head + b"read 1 10000000000 1800000000\nread 2 12000000000 1\n",
        "gemv": head + b"".join(line(gemv + isa, "q4b32", rows, 0, 1000 + rows)
                                for isa in ("generic", "avx2", "avx512_vnni", "neon_dot")
                                for rows in (1, 4, 8)),
        "panel": head + b"".join(line(panel + name, "f32", 48, 0, 7)
                                 for name in ("1x32_generic", "4x32_neon", "12x32_neon_dot")),
        "bad-kernel": head + line("gemv_abacus", "q4b32", 1, 0, 5),
        "bad-core": head + line(gemv + "generic", "q4b32", 1, 2147483647, 5),
        "bad-rate": head + line(gemv + "generic", "q4b32", 8, 0, 9223372036854775807),
        "bad-rows": head + line(gemv + "generic", "q4b32", 2147483647, 0, 5),
        "bad-encoding": head + line(gemv + "generic", "f32", 1, 0, 5),
        "bad-key": b"midge kernel rates 2\nkey other\n", "bad-first": b"midge kernel rates 1\n",
        "bad-hash": head + b"end 0000000000000000\n", "none": b""}


def importance_seeds():
    """Without the checksum, which the target adds."""
    def file(inputs, version=1, count=None, tokens=100):
        body = b"midgeimp" + struct.pack(
            "<IIq", version, len(inputs) if count is None else count, tokens)
        for name, rows, squares in inputs:
            body += struct.pack("<I", len(name)) + name + struct.pack("<qQ", rows, len(squares))
            body += struct.pack(f"<{len(squares)}d", *squares)
        return body
    qkv = (b"layers.0.qkv", 100, [float(i % 7) for i in range(40)])
    down = (b"layers.0.down", 100, [2.0 ** (i % 50 - 25) for i in range(300)])
    return {
        "whole": file([down, qkv]), "head": file([(b"head", 1, [1.0] * 8)]), "empty": file([]),
        "zeros": file([(b"head", 7, [0.0] * 33)]), "large": file([(b"head", 1, [1e308] * 8)]),
        "small": file([(b"head", 2 ** 62, [5e-324] * 8)]),
        "bad-count": file([qkv], count=2 ** 32 - 1), "bad-version": file([qkv], version=2),
        "bad-rows": file([(b"head", 0, [1.0])]), "bad-twice": file([qkv, qkv]),
        "bad-sign": file([(b"head", 1, [-1.0])]), "bad-nan": file([(b"head", 1, [float("nan")])]),
        "bad-name": file([(b"x" * 65, 1, [1.0])]), "bad-end": file([qkv]) + b"x",
        "bad-cut": file([qkv])[:-5], "bad-first": b"midgeimq", "none": b""}


def chat_json_seeds():
    tools = json.dumps([{"type": "function", "function": {
        "name": "add", "description": "Adds.", "parameters": {"type": "object", "properties": {
            "a": {"type": "number", "enum": [1, 2.5, 1e15, -0.0, None, True]}}}}}])
    messages = json.dumps([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "7 + 5? \u0000"},
        {"role": "assistant", "content": None, "tool_calls": [
            {"function": {"name": "add", "arguments": {"a": 7, "b": [5.0, {"c": "\u00e9"}]}}},
            {"name": "add", "arguments": "{}"}]},
        {"role": "tool", "content": "12"}, {"role": "assistant", "content": "<think>x</think>12"}])
    join = lambda messages, tools=b"": b"\0".join(
        part if isinstance(part, bytes) else part.encode() for part in (messages, tools))
    user = '[{"role": "user", "content": "x"}]'
    return {
        "whole": join(messages, tools), "messages": join(messages), "tools": join(user, tools),
        "plain-tools": join(user, '[{"name": "add", "parameters": {}}]'),
        "numbers": join(user, '[{"name":"n","parameters":[1e15,1e308,5e-324,-1,9223372036854775807,'
                              '9223372036854775808,0.1,1e-7]}]'),
        "deep": join(user, '[{"name":"n","parameters":' + "[" * 60 + "]" * 60 + "}]"),
        "bad-deep": join("[" * 2000), "bad-role": join('[{"role": "robot", "content": "x"}]'),
        "bad-content": join('[{"role": "user", "content": 5}]'),
        "bad-twice": join('[{"role": "user", "role": "tool", "content": "x"}]'),
        "bad-utf8": join(b'[{"role": "user", "content": "\xff\xfe"}]'),
        "bad-surrogate": join('[{"role": "user", "content": "\\ud800"}]'), "bad-empty": b""}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=pathlib.Path(
        __file__).resolve().parent.parent / "tests" / "fuzz" / "corpus")
    folder = parser.parse_args().folder
    targets = {"gguf": gguf_seeds(), "safetensors": safetensors_seeds(), "index": index_seeds(),
               "config": config_seeds(), "tokenizer_json": tokenizer_json_seeds(),
               "chat": chat_seeds(), "run": run_seeds(),
               "tokenizer_model": tokenizer_model_seeds(), "calibration": calibration_seeds(),
               "chat_json": chat_json_seeds(), "importance": importance_seeds()}
    for target, seeds in targets.items():
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            if not old.name.startswith("found-"):
                old.unlink()
        for name, data in seeds.items():
            (place / name).write_bytes(data)
        print(f"{target}: {len(seeds)} seeds, {sum(map(len, seeds.values()))} bytes")


if __name__ == "__main__":
    main()
