#!/usr/bin/env python3
"""Writes engine/tokenizer/unicode_tables.inc: what midge needs of Unicode, for builds without utf8proc.

The tables are read out of the installed utf8proc (libutf8proc2), so that both give the same tokens.
The test UnicodeTables.AreThoseOfUtf8proc compares them for every code point.
"""
import ctypes
import ctypes.util
import pathlib

LAST = 0x10FFFF
STABLE, COMPOSE = 1 << 1, 1 << 3
HANGUL = range(0xAC00, 0xAC00 + 11172)  # by a rule, not from tables

# Values of CategoryGroup by utf8proc's category numbers (Cn is 0, Lu 1, Ll 2 ...).
UPPER, LOWER, OTHER_LETTER, MARK, DIGIT, LETTER_NUMBER, OTHER_NUMBER, SPACE, CONNECTOR = range(1, 10)
GROUPS = {1: UPPER, 2: LOWER, 3: UPPER, 4: OTHER_LETTER, 5: OTHER_LETTER, 6: MARK, 7: MARK, 8: MARK,
          9: DIGIT, 10: LETTER_NUMBER, 11: OTHER_NUMBER, 12: CONNECTOR, 23: SPACE, 24: SPACE,
          25: SPACE}

library = ctypes.CDLL(ctypes.util.find_library("utf8proc"))
library.utf8proc_version.restype = ctypes.c_char_p
library.utf8proc_unicode_version.restype = ctypes.c_char_p
library.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16 * 2)  # category, class
library.utf8proc_decompose_char.restype = ctypes.c_ssize_t
library.utf8proc_normalize_utf32.restype = ctypes.c_ssize_t


def decompose(point):
    out = (ctypes.c_int32 * 8)()
    boundary = ctypes.c_int(0)
    count = library.utf8proc_decompose_char(point, out, ctypes.c_ssize_t(8), STABLE | COMPOSE,
                                            ctypes.byref(boundary))
    return list(out[:count]) if count > 0 else [point]


def compose(points):
    buffer = (ctypes.c_int32 * len(points))(*points)
    count = library.utf8proc_normalize_utf32(buffer, ctypes.c_ssize_t(len(points)), STABLE | COMPOSE)
    return list(buffer[:count])


def ranges(values, shift):
    """First code point << shift | value, wherever the value changes."""
    out, last = [], None
    for point, value in enumerate(values):
        if value != last:
            out.append(point << shift | value)
            last = value
    return out


def array(kind, name, values, comment):
    lines = [f"// {comment}", f"constexpr {kind} {name}[] = {{"]
    line = "   "
    for value in values:
        text = f" {value:#x},"
        if len(line) + len(text) > 100:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join(lines + [line, "};"])


def main():
    groups, classes, keys, starts, parts, pairs = [], [], [], [], [], []
    for point in range(LAST + 1):
        category, combining = library.utf8proc_get_property(point).contents
        groups.append(GROUPS.get(category, 0))
        classes.append(combining)
        if point in HANGUL:
            continue
        whole = decompose(point)
        if whole == [point]:
            continue
        keys.append(point)
        starts.append(len(parts))
        parts += whole
        if len(whole) > 1 and compose(list(whole)) == [point]:
            first = compose(whole[:-1])
            if len(first) == 1:
                pairs.append((first[0], whole[-1], point))
    starts.append(len(parts))
    pairs.sort()
    version = library.utf8proc_unicode_version().decode()
    text = "\n\n".join([
        f"// Made by tools/make_unicode_tables.py from utf8proc {library.utf8proc_version().decode()}, "
        f"Unicode {version}.\n"
        "// Contains data of the Unicode Character Database, (c) Unicode, Inc., under the Unicode "
        "licence (NOTICE).",
        f'constexpr char kTablesVersion[] = "{version}";',
        array("uint32_t", "kGroups", ranges(groups, 4), "First code point << 4 | CategoryGroup."),
        array("uint32_t", "kCombiningClasses", ranges(classes, 8), "First code point << 8 | class."),
        array("uint32_t", "kDecomposed", keys, "Code points with a canonical decomposition, Hangul left out."),
        array("uint16_t", "kPartsStart", starts, "Where the parts of each begin in kParts, and their end."),
        array("uint32_t", "kParts", parts, "Full canonical decompositions."),
        array("uint64_t", "kPairs", [a << 42 | b << 21 | c for a, b, c in pairs],
              "First << 42 | second << 21 | what they compose to."),
    ]) + "\n"
    out = pathlib.Path(__file__).resolve().parent.parent / "engine/tokenizer/unicode_tables.inc"
    out.write_text(text)
    print(f"{out}: {len(text)} bytes, {len(keys)} decompositions, {len(pairs)} pairs")


main()
