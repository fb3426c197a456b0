"""Makes the golden token ids of tests/data/tokenizer with Hugging Face's tokenizers library and,
for SentencePiece vocabularies, with sentencepiece.

    python3 tools/vocab/fetch_vocabularies.py
    python3 tools/vocab/make_token_goldens.py

Writes strings.json and, for each vocabulary, ids_<name>.bin: for every string the number of ids and
the ids, each as unsigned LEB128. The order is: the plain strings; the strings with added tokens in
them; these once more as text, in which no added token is recognised. Vocabularies that are absent
are named and keep their files. Needs the Python packages tokenizers and sentencepiece.

Where a vocabulary has a tokenizer.model, strings without added tokens get sentencepiece's ids; the
script fails if those of its tokenizer.json differ.

Strings on which Hugging Face's NFC and Python's differ are left out and counted: the tables of the
former are of Unicode 9, so it does not reorder marks that are newer, such as U+09FE.
"""

import json
import pathlib
import sys
import unicodedata

import sentencepiece
import tokenizers

import golden_strings

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "tokenizer"
VOCABULARIES = {
    "phi-4": ROOT / "build" / "vocabularies" / "phi-4",
    "phi-4-mini": ROOT / "build" / "vocabularies" / "phi-4-mini",
    "mimo": ROOT / "build" / "vocabularies" / "mimo",
    "phi-3": ROOT / "build" / "vocabularies" / "phi-3",
    "smollm2": ROOT / "build" / "vocabularies" / "smollm2",
    "sentencepiece": DATA / "sentencepiece",
    "tiny-phi": ROOT / "assets" / "models" / "tiny-phi",
    "tiny-mimo": ROOT / "assets" / "models" / "tiny-mimo",
}


def leb128(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return out


def without_added(source):
    """The same tokenizer without its added tokens, to which their text is just text."""
    document = json.loads(source)
    vocabulary = document["model"]["vocab"]
    for token in document["added_tokens"]:
        vocabulary.pop(token["content"], None)
    document["added_tokens"] = []
    document["model"]["unk_token"] = None
    return tokenizers.Tokenizer.from_str(json.dumps(document))


def agreed(strings):
    """The strings whose normal form the two libraries agree on."""
    normalizer = tokenizers.normalizers.NFC()
    kept = [s for s in strings
            if normalizer.normalize_str(s) == unicodedata.normalize("NFC", s)]
    print(f"{len(strings) - len(kept)} of {len(strings)} strings left out for their NFC")
    return kept


def encode(tokenizer, strings):
    encodings = tokenizer.encode_batch(strings, add_special_tokens=False)
    return [encoding.ids for encoding in encodings]


def check_sentencepiece(folder, strings, ids):
    """Stops unless sentencepiece itself gives these ids, where the folder has a model for it."""
    path = folder / "tokenizer.model"
    if not path.exists():
        return
    processor = sentencepiece.SentencePieceProcessor(model_proto=path.read_bytes())
    own = processor.encode(strings)
    different = [i for i in range(len(strings)) if own[i] != ids[i]]
    for i in different[:5]:
        print(f"{strings[i]!r}\n  sentencepiece {own[i]}\n  tokenizers    {ids[i]}", file=sys.stderr)
    if different:
        sys.exit(f"{path}: {len(different)} of {len(strings)} strings get other ids")
    print(f"{path}: sentencepiece gives the same ids for all {len(strings)} strings")


def main():
    plain = agreed(golden_strings.plain_strings())
    special = agreed(golden_strings.special_strings())
    DATA.mkdir(parents=True, exist_ok=True)
    (DATA / "strings.json").write_text(
        json.dumps({"plain": plain, "special": special}, ensure_ascii=False, indent=0),
        encoding="utf-8")
    print(f"{len(plain)} plain strings, {len(special)} with added tokens")
    for name, folder in VOCABULARIES.items():
        path = folder / "tokenizer.json"
        if not path.exists():
            print(f"{name}: skipped, {path} is absent", file=sys.stderr)
            continue
        source = path.read_text(encoding="utf-8")
        tokenizer, text_tokenizer = tokenizers.Tokenizer.from_str(source), without_added(source)
        as_text = encode(text_tokenizer, plain + special)
        check_sentencepiece(folder, plain + special, as_text)
        ids = encode(tokenizer, plain) + encode(tokenizer, special) + as_text[len(plain):]
        out = bytearray()
        for tokens in ids:
            out += leb128(len(tokens))
            for token in tokens:
                out += leb128(token)
        (DATA / f"ids_{name}.bin").write_bytes(out)
        print(f"{name}: {sum(map(len, ids))} ids, {len(out)} bytes")


if __name__ == "__main__":
    main()
