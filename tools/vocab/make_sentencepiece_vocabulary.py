"""Trains the small SentencePiece vocabulary of the tests and writes it in every form.

    python3 tools/vocab/make_sentencepiece_vocabulary.py

Writes tests/data/tokenizer/sentencepiece/: tokenizer.model (the trainer's own), tokenizer.json,
tokenizer_config.json and vocabulary.gguf. The settings are those of the Phi-3 family: byte pair
encoding, byte fallback, no normalisation, spaces kept; the added tokens carry its flags. The text is
assets/text and those strings of golden_strings.py that are mostly ASCII, so that most of the other
characters are left to the byte tokens.
Needs the Python packages sentencepiece and gguf.
"""

import io
import json
import pathlib

import gguf
import sentencepiece

import golden_strings
import sentencepiece_files as files

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "data" / "tokenizer" / "sentencepiece"
PIECES = 1400


def mostly_ascii(text):
    return 2 * sum(c < "\x7f" for c in text) > len(text)


def training_lines():
    text = "".join(path.read_text(encoding="utf-8")
                   for path in sorted((ROOT / "assets" / "text").glob("*.txt")))
    for line in text.split("\n") + golden_strings.plain_strings():
        line = line.replace("\0", "").replace("\n", " ").replace("\r", " ")
        if mostly_ascii(line):
            yield line


def train():
    model = io.BytesIO()
    # An iterator and a writer, because the trainer would note the names of files in the model.
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=training_lines(), model_writer=model, vocab_size=PIECES,
        model_type="bpe", byte_fallback=True, character_coverage=0.98, num_threads=1,
        normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, split_digits=True, max_sentence_length=1 << 16,
        minloglevel=2)
    return model.getvalue()


def read_pieces(model):
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    pieces = []
    for i in range(processor.get_piece_size()):
        kind = (files.UNKNOWN if processor.is_unknown(i) else files.CONTROL
                if processor.is_control(i) else files.BYTE if processor.is_byte(i)
                else files.NORMAL)
        pieces.append((processor.id_to_piece(i), processor.get_score(i), kind))
    return pieces


def added_tokens(first_id):
    added = [files.added_entry(0, "<unk>"), files.added_entry(1, "<s>"),
             files.added_entry(2, "</s>", special=False, rstrip=True),
             files.added_entry(first_id, "<|endoftext|>")]
    names = ["<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
    added += [files.added_entry(first_id + 1 + i, name, rstrip=True)
              for i, name in enumerate(names)]
    return added


def write_gguf(pieces, added, path):
    own = {token["id"]: token for token in added if token["id"] >= len(pieces)}
    texts = [text for text, _, _ in pieces] + [own[i]["content"] for i in sorted(own)]
    types = [kind for _, _, kind in pieces] + [files.CONTROL] * len(own)
    types[2] = files.USER_DEFINED  # "</s>", as converters write it for this family
    writer = gguf.GGUFWriter(path, "phi3")
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text.encode() for text in texts])
    writer.add_token_scores([score for _, score, _ in pieces] + [-1000.0] * len(own))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(len(pieces))
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(False)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def write_json(name, content):
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    (OUT / name).write_text(text, encoding="utf-8")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    model = train()
    pieces = read_pieces(model)
    added = added_tokens(len(pieces))
    (OUT / "tokenizer.model").write_bytes(model)
    write_json("tokenizer.json", files.tokenizer_json(pieces, added))
    write_json("tokenizer_config.json", {
        "add_bos_token": False, "added_tokens_decoder": files.added_decoder(added),
        "bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>"})
    write_gguf(pieces, added, OUT / "vocabulary.gguf")
    for path in sorted(OUT.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
