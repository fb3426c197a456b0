"""Trains the byte-level BPE vocabularies of the bundled models and writes their tokenizer files.

  python tools/tiny/make_tokenizer.py phi assets/models/tiny-phi
  python tools/tiny/make_tokenizer.py mimo assets/models/tiny-mimo

Each directory gets tokenizer.json and tokenizer_config.json in the form of the family's published
ones: pre-tokenizer pattern, normalizer, special tokens and chat template. The two differ on purpose
in what a reader has to accept: tiny-phi has `ignore_merges` true and merges as pairs, tiny-mimo has
it false and merges as "left right" strings.
"""

import argparse
import json
import pathlib

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from corpus import TRAIN_SEED, documents

# Rows of the embedding table. Vocabularies stay below it, so that the last rows are padding as in
# the published models.
ROWS = 2048
TRAINING_DOCUMENTS = 8000

O200K_PATTERN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

# Turns are <|role|>text<|end|> without newlines; a system message may carry tools.
PHI_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' and message.get('tools') %}"
    "{{ '<|system|>' + message['content'] + '<|tool|>' + message['tools'] + '<|/tool|><|end|>' }}"
    "{% else %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% else %}{{ eos_token }}{% endif %}"
)
# ChatML with the family's default system text. Tools are not part of what this model is trained on.
MIMO_TEMPLATE = (
    "{% if messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are MiMo, an AI assistant developed by Xiaomi.<|im_end|>\\n' }}"
    "{% endif %}"
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

FAMILIES = {
    "phi": {
        "pattern": O200K_PATTERN,
        "nfc": False,
        "ignore_merges": True,
        "merges_as_pairs": True,
        "base_tokens": 2018,
        # (text, special) in the order of the published ids.
        "added": [
            (text, True)
            for text in (
                "<|endoftext|> <|endofprompt|> <|assistant|> <|end|> <|user|> <|system|> <|tool|> "
                "<|/tool|> <|tool_call|> <|/tool_call|> <|tool_response|> <|tag|>"
            ).split()
        ],
        "config": {
            "add_bos_token": False,
            "add_eos_token": False,
            "bos_token": "<|endoftext|>",
            "eos_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "chat_template": PHI_TEMPLATE,
        },
    },
    "mimo": {
        "pattern": QWEN2_PATTERN,
        "nfc": True,
        "ignore_merges": False,
        "merges_as_pairs": False,
        "base_tokens": 2019,
        "added": [
            ("<|endoftext|>", True),
            ("<|im_start|>", True),
            ("<|im_end|>", True),
            ("<tool_call>", False),
            ("</tool_call>", False),
        ],
        "config": {
            "add_bos_token": False,
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "unk_token": None,
            "chat_template": MIMO_TEMPLATE,
        },
    },
}


def _texts(family):
    source = documents(TRAIN_SEED, family, phase=1)
    for _ in range(TRAINING_DOCUMENTS):
        document = next(source)
        if isinstance(document, str):
            yield document
        else:
            yield from (message["content"] for message in document)


def train_tokenizer(family):
    """A trained tokenizers.Tokenizer: base tokens first, then the added ones."""
    spec = FAMILIES[family]
    tokenizer = Tokenizer(models.BPE())
    if spec["nfc"]:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(spec["pattern"]), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    byte_level = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer.decoder = decoders.ByteLevel(**byte_level)
    tokenizer.post_processor = processors.ByteLevel(**byte_level)
    trainer = trainers.BpeTrainer(
        vocab_size=spec["base_tokens"],
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(family), trainer)
    return tokenizer


def tokenizer_json(family):
    """The content of tokenizer.json as a dict."""
    spec = FAMILIES[family]
    content = json.loads(train_tokenizer(family).to_str())
    model = content["model"]
    base = len(model["vocab"])
    content["added_tokens"] = [
        {
            "id": base + i,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": special,
        }
        for i, (text, special) in enumerate(spec["added"])
    ]
    model["ignore_merges"] = spec["ignore_merges"]
    model["byte_fallback"] = False
    if not spec["merges_as_pairs"]:
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
    assert base + len(spec["added"]) < ROWS
    return content


def tokenizer_config(family, added_tokens):
    """The content of tokenizer_config.json; `added_tokens` as in tokenizer.json."""
    config = {
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in added_tokens
        },
        "clean_up_tokenization_spaces": False,
        "errors": "replace",
        "model_max_length": 2048 if family == "phi" else 1024,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    config.update(FAMILIES[family]["config"])
    return dict(sorted(config.items()))


def _write_json(path, content, indent):
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("directory", type=pathlib.Path)
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)
    content = tokenizer_json(args.family)
    _write_json(args.directory / "tokenizer.json", content, indent=1)
    config = tokenizer_config(args.family, content["added_tokens"])
    _write_json(args.directory / "tokenizer_config.json", config, indent=2)
    total = len(content["model"]["vocab"]) + len(content["added_tokens"])
    print(f"{args.directory}: {total} tokens, {ROWS - total} padding rows")


if __name__ == "__main__":
    main()
