#!/usr/bin/env python3
"""Makes docs/api.md of the comments in include/midge/midge.h.

usage: tools/make_api_docs.py [--check]
  --check  fails if docs/api.md is not what would be made
Needs no package.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = ROOT / "include" / "midge" / "midge.h"
PAGE = ROOT / "docs" / "api.md"


def comment_text(comment):
    """Lines of a /* */ comment without its marks."""
    lines = comment.strip()[2:-2].split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line).rstrip() if i else line.strip()
                     for i, line in enumerate(lines)).strip()


def paragraphs(text):
    """Prose as Markdown; what is indented stays as code."""
    out = []
    for block in re.split(r"\n\s*\n", text):
        if block.startswith("  "):
            out.append("```c\n" + "\n".join(line[2:] for line in block.split("\n")) + "\n```")
        else:
            words = " ".join(line.strip() for line in block.split("\n"))
            out.append(re.sub(r"^([A-Z]{6,})\. ", r"**\1.** ", words))
    return "\n\n".join(out)


def main():
    header = HEADER.read_text(encoding="utf-8")
    top = comment_text(header[:header.index("*/") + 2])
    page = ["# The C interface", "",
            "This page is made of `include/midge/midge.h` by `tools/make_api_docs.py`. "
            "`include/midge/midge.hpp` wraps it for C++, `examples/` has whole programs.", "",
            paragraphs(top)]
    body = header[header.index("/* Statuses."):]
    pattern = re.compile(
        r"(?P<section>/\* -{10,} (?P<title>\w+) -- \*/)"
        r"|(?P<comment>/\*(?:[^*]|\*(?!/))*\*/)?\s*"
        r"(?P<code>MIDGE_API[^;]*;|typedef [^{;]*\{.*?\n\} \w+;|typedef [^{;]*;|"
        r"(?<=\n)enum \{[^}]*\};)", re.S)
    for match in pattern.finditer(body):
        if match["section"]:
            page += ["", f"## {match['title'].capitalize()}"]
            continue
        code = match["code"].replace("MIDGE_API ", "")
        if re.match(r"typedef struct (\w+) \1;", code):  # handles
            continue
        name = re.search(r"(midge_\w+)\(", code) if code.endswith(");") and "{" not in code else None
        title = name[1] if name else (re.search(r"\} (\w+);$", code) or [None, None])[1]
        if title:
            page += ["", f"### {title}"]
        if match["comment"]:
            page += ["", paragraphs(comment_text(match["comment"]))]
        page += ["", "```c", code, "```"]
    text = "\n".join(page) + "\n"
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            sys.exit("docs/api.md is not that of include/midge/midge.h: run tools/make_api_docs.py")
        return
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
