"""The strings on which token ids are compared: curated ones and seeded random ones.

Used by make_token_goldens.py. Code points are limited to those assigned in Python's Unicode
tables, because libraries with other Unicode versions may classify newer ones differently.
"""

import random
import unicodedata

SEED = 20240907

# Script: a phrase, and the ranges of its letters, marks, digits and punctuation.
SCRIPTS = {
    "Latin": ("Zażółć gęślą jaźń, ñandú über straße Ærøskøbing", [(0x41, 0x24F), (0x1E00, 0x1EFF)]),
    "Greek": ("Καλημέρα κόσμε, τι κάνεις;", [(0x370, 0x3FF), (0x1F00, 0x1FFE)]),
    "Cyrillic": ("Привет, мир! Съешь ещё этих булок", [(0x400, 0x52F)]),
    "Armenian": ("Բարեւ աշխարհ, ինչպե՞ս ես", [(0x531, 0x58A)]),
    "Georgian": ("გამარჯობა მსოფლიო, როგორ ხარ?", [(0x10A0, 0x10FF)]),
    "Hebrew": ("שלום עולם, מה שלומך?", [(0x591, 0x5F4)]),
    "Arabic": ("مرحبا بالعالم، كيف حالك؟ ١٢٣", [(0x606, 0x6FF), (0x750, 0x77F)]),
    "Syriac": ("ܫܠܡܐ ܥܠܡܐ", [(0x710, 0x74A)]),
    "Thaana": ("ހެލޯ ދުނިޔެ", [(0x780, 0x7B1)]),
    "Devanagari": ("नमस्ते दुनिया, आप कैसे हैं? १२३", [(0x900, 0x97F)]),
    "Bengali": ("ওহে বিশ্ব, কেমন আছো? ৪৫৬", [(0x980, 0x9FE)]),
    "Gurmukhi": ("ਸਤ ਸ੍ਰੀ ਅਕਾਲ ਦੁਨੀਆ", [(0xA01, 0xA76)]),
    "Gujarati": ("નમસ્તે દુનિયા, કેમ છો?", [(0xA81, 0xAFF)]),
    "Oriya": ("ନମସ୍କାର ଦୁନିଆ", [(0xB01, 0xB77)]),
    "Tamil": ("வணக்கம் உலகம், எப்படி இருக்கிறாய்?", [(0xB82, 0xBFA)]),
    "Telugu": ("హలో ప్రపంచం, ఎలా ఉన్నావు?", [(0xC00, 0xC7F)]),
    "Kannada": ("ನಮಸ್ಕಾರ ಜಗತ್ತು", [(0xC80, 0xCF2)]),
    "Malayalam": ("നമസ്കാരം ലോകം", [(0xD00, 0xD7F)]),
    "Sinhala": ("ආයුබෝවන් ලෝකය", [(0xD81, 0xDF4)]),
    "Thai": ("สวัสดีชาวโลก สบายดีไหม ๑๒๓", [(0xE01, 0xE5B)]),
    "Lao": ("ສະບາຍດີຊາວໂລກ", [(0xE81, 0xEDF)]),
    "Tibetan": ("བཀྲ་ཤིས་བདེ་ལེགས།", [(0xF00, 0xFDA)]),
    "Myanmar": ("မင်္ဂလာပါ ကမ္ဘာလောက", [(0x1000, 0x109F)]),
    "Khmer": ("សួស្តី​ពិភពលោក", [(0x1780, 0x17F9)]),
    "Ethiopic": ("ሰላም ልዑል፣ እንዴት ነህ?", [(0x1200, 0x137C)]),
    "Mongolian": ("ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ", [(0x1800, 0x18AA)]),
    "Cherokee": ("ᎣᏏᏲ ᎡᎶᎯ ꭰꭱꭲ", [(0x13A0, 0x13FD), (0xAB70, 0xABBF)]),
    "Canadian": ("ᐊᐃᓐᖓᐃ ᓯᓚᕐᔪᐊᖅ", [(0x1401, 0x167F)]),
    "Hiragana": ("こんにちは、せかい。おげんきですか？", [(0x3041, 0x309F), (0x3001, 0x303F)]),
    "Katakana": ("コンニチハ、セカイ！ﾊﾝｶｸ", [(0x30A0, 0x30FF), (0xFF61, 0xFF9F)]),
    "Han": ("世界，你好！今天天气很好。", [(0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x20400)]),
    "Hangul": ("안녕하세요, 세계! 잘 지내요?", [(0xAC00, 0xD7A3), (0x1100, 0x11FF)]),
    "Deseret": ("𐐐𐐯𐑊𐐬 𐐶𐐲𐑉𐑊𐐼", [(0x10400, 0x1044F)]),
    "Mathematical": ("𝐇𝐞𝐥𝐥𝐨 𝒘𝒐𝒓𝒍𝒅 𝟙𝟚𝟛", [(0x1D400, 0x1D7FF)]),
}

SPACES = [" ", " ", " ", "  ", "\t", "\n", "\n\n", "\r\n", "\r", "\u00a0", "\u2003", "\u3000",
          "\u0085", "\u2028", "\u1680", "\u180e", "\x0b", "\x0c", "\x1c", "\u200b", "\u202f"]
MARKS = ["\u0300", "\u0301", "\u0302", "\u0303", "\u0304", "\u0307", "\u0308", "\u030a", "\u0316",
         "\u0323", "\u0327", "\u0328", "\u0331", "\u0338", "\u0345", "\u05b4", "\u0651", "\u064b",
         "\u093c", "\u0d3e", "\u0f71", "\u0f72", "\u1dc4", "\u20dd", "\u20d0", "\u302a", "\u3099",
         "\ufe0f"]
BASES = list("aAeEoOuUnsScCzKΩωΑαyi") + [
    "\u00c5", "\u00e9", "\u00fc", "\u017f", "\u03d2", "\u0635", "\u0915", "\u09c7", "\u0b92",
    "\u1100", "\u1161", "\u11a8", "\uac00", "\u304b", "\u212b", "\u2126", "\u212a", "\u1e9b",
    "\u0344", "\u0958", "\u2adc", "\ufb1d", "\uf900", "\u0390", "\u1fee", "1", "-", " "]
CRITICAL = ["'", "s", "S", "\u017f", "t", "l", "L", "r", "e", "v", "d", "a", "B", "Z", "\u01c5",
            "\u02b0", "\u4e2d", "\u0301", "\u0903", "1", "2", "\u0663", "\u00bd", "\u2163", " ",
            " ", "\n", "\r", "\t", "\u00a0", "\u3000", "/", ".", "-", "!", "\u00e9", "\u00c9",
            "\u200d", "\u0000", "\U0001f600", "\u0130", "\u00df", "\u05d0", "<", "|", ">"]
EMOJI = ["👍", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇺🇦", "🇯🇵", "1️⃣", "#️⃣", "☺️", "❤️‍🔥", "👨🏿‍🚀", "🧑‍🤝‍🧑",
         "🫠", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "✌🏻", "™", "©", "➡️", "🤷‍♀️", "👁️‍🗨️"]
WORDS = ("the a river stone Time of NASA iPhone camelCase snake_case HTTPServer don't it's we'll "
         "I'd they've you're I'm DON'T IT'S x y Zürich naïve café resumé 3D v2.0 e.g. i.e. U.S.A. "
         "O'Neill rock'n'roll 'tis ''s l'eau McDonald ABCdef abcDEF").split()
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|end|>", "<|user|>",
           "<|assistant|>", "<|system|>", "<|tool|>", "<|/tool|>", "<tool_call>", "</tool_call>",
           "<|fim_prefix|>", "<|dummy_8|>", "<|dummy_85|>", "<|endofprompt|>", "<|tool_call|>",
           "<|repo_name|>"]
NEAR_SPECIAL = ["<|im_start", "|>", "<|", "<|im_end|", "<| im_end |>", "<|IM_END|>", "<tool_call",
                "endoftext", "<<|", "|>>", "<|dummy_", "<|end", "\u0301"]
CODE = [
    "def {a}({b}, *args, **kw):\n    return {b}[{n}:] + '{c}'\n",
    "for (int {a} = 0; {a} < {n}; ++{a}) {{\n\t{b}[{a}] *= {n}.5f;\n}}\n",
    "#include <{a}.h>\r\n#define {B} (1 << {n})\r\n",
    "SELECT {a}, COUNT(*) FROM {b} WHERE {c} >= {n} GROUP BY {a};--\n",
    "<div class=\"{a}\">\n  <a href='https://{b}.example/{c}?q={n}&r=%20'>{c}</a>\n</div>",
    "{{\"{a}\": [{n}, null, true, -1.5e-{n}], \"{b}\": {{\"{c}\": \"\\u00e9\\n\"}}}}",
    "fn {a}<'a>({b}: &'a mut {B}) -> Option<{B}> {{ {b}.{c}()?; None }} // {n}",
    "if [[ -f \"${a}\" ]]; then echo $(({n} + 1)) >> ~/{b}/{c}.log 2>&1; fi",
    "# {a}\n\n* **{b}** and `{c}`\n* [{a}](http://{b}/{c}//)\n\n| {n} | {a} |\n|---|---|\n",
    "\\begin{{{a}}} \\frac{{{n}}}{{{b}^2}} \\sum_{{i=0}}^{{\\infty}} \\alpha_{{{c}}} \\end{{{a}}}",
    "\t\t\t{a}->{b}(&{c}, {n}U);    // {a}\n\n\n\t\treturn;\n",
    "{a} = lambda {b}: {b}**{n} if {b} != '{c}' else not {B}  # noqa",
]
CURATED = [
    "", " ", "  ", "\n", "\r\n", "\t", "a", "'", "''", "'s", "'S", "'\u017f", " 's", "'ll", "'LL",
    "'lL", "'l", "'re've'm'd't", "hello world", "rer", "'rer", "today\n ", "today\n \n",
    "today\n  \n", " \u00850", "👍", "\u3000\u3000x", "ABCdef abcDEF don't DON'T 2024  x\n \ny "
    "e\u0301+a a/b//\n", "Transformers (formerly known as pytorch-transformers and "
    "pytorch-pretrained-bert) provides ", "over 32+ pretrained models in 100+ languages",
    "世界，你好！", "\u03d2\u0301 \u03d2\u0308 \u017f\u0307", "\u0301", "\u0301ABC ", "\u0301abc",
    " \u0301a", "A\u0301B\u0301C d", "中ABC", "ABC中", "中aB", "\u01c5\u01c5a", "\u02b0A", "A\u02b0",
    "a\u0000b", "\u0000", "\ufeffx", "\ufffd\ufffe", "\U0010ffff", "x" * 1000, " " * 300,
    "\n" * 120, "ab" * 500, "9" * 100, "\u0301" * 200, "a" + "\u0316\u0301" * 40, "中" * 200,
    "!" * 150, "'" * 90, "Aa" * 100, "\u1100\u1161\u11a8" * 30, "/" * 60, "\r\n" * 50,
    "-----/-----//\n/", "a/\n/b", "...\n\n\n/x", ".\r\n/", "\u2028\u2029x", "x \u00a0 y",
]


def assigned(code_point):
    return unicodedata.category(chr(code_point)) not in ("Cn", "Cs", "Co")


def word_of(rng, ranges, length_max=8):
    points = []
    for _ in range(rng.randint(1, length_max)):
        first, last = rng.choice(ranges)
        points.append(chr(rng.choice([p for p in (rng.randint(first, last) for _ in range(40))
                                      if assigned(p)])))
    return "".join(points)


def script_strings(rng):
    for phrase, ranges in SCRIPTS.values():
        yield phrase
        yield from phrase.split(" ")
        for _ in range(55):
            words = [word_of(rng, ranges) for _ in range(rng.randint(1, 4))]
            yield rng.choice(["", "", " "]) + rng.choice([" ", " ", ", ", "-", "  "]).join(words)


def random_point(rng):
    limit = rng.choice([0x80, 0x300, 0x3000, 0x10000, 0x20000, 0x110000])
    while True:
        point = rng.randrange(limit)
        if assigned(point):
            return chr(point)


def joined(rng, pool, count_max):
    return "".join(rng.choice(pool) for _ in range(rng.randint(1, count_max)))


def number(rng):
    digits = rng.choice(["0123456789", "0123456789", "٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "０１２３４５６７８９",
                         "²³¹½¼Ⅷⅳ①⑳㊿", "𝟎𝟏𝟐𝟗1٢"])
    return joined(rng, digits, 12)


def number_string(rng):
    return "".join(number(rng) + rng.choice(["", " ", ".", ",", "-", "%", "€", "e+", "x", "\n"])
                   for _ in range(rng.randint(1, 4)))


def marks_string(rng):
    return "".join(rng.choice(BASES) + joined(rng, MARKS, 4) * rng.randint(0, 1)
                   for _ in range(rng.randint(1, 8)))


def spaces_string(rng):
    return "".join(rng.choice([joined(rng, SPACES, 6), rng.choice(WORDS), rng.choice(".,/!x1")])
                   for _ in range(rng.randint(1, 7)))


def code_string(rng):
    name = lambda: rng.choice(WORDS[:11] + ["i", "idx", "fooBar", "_x", "tmp2"]).replace("'", "")
    return rng.choice(CODE).format(a=name(), b=name(), c=name(), B=name().upper(),
                                   n=rng.randrange(10 ** rng.randint(1, 6)))


def case_string(rng):
    letters = "abcXYZéÉßǅʰ中ЖжΣσς"
    return " ".join(joined(rng, letters, 9) + rng.choice(["", "", "'s", "'LL", "'Re", "'x", "'"])
                    for _ in range(rng.randint(1, 4)))


def prose_string(rng):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(2, 14))) + rng.choice(
        [".", "!", "?\n", "...", " \u2014 ", "\u201d", ""])


def control_string(rng):
    controls = [chr(i) for i in [*range(32), 127, *range(128, 160), 0xAD, 0x200E, 0x202E, 0xFEFF]]
    return "".join(rng.choice([joined(rng, controls, 3), rng.choice(WORDS), " "])
                   for _ in range(rng.randint(1, 6)))


def emoji_string(rng):
    return "".join(rng.choice(EMOJI) + rng.choice(["", "", " ", "a", "\u200d", "\ufe0f", "!", "1"])
                   for _ in range(rng.randint(1, 6)))


def special_string(rng):
    pool = SPECIAL * 2 + NEAR_SPECIAL + WORDS[:8] + SPACES[:6] + ["e", "\u0301", "1", "'s"]
    return rng.choice(SPECIAL).join([joined(rng, pool, 5), joined(rng, pool, 5)])


def unique(strings):
    return list(dict.fromkeys(strings))


def plain_strings():
    """Strings that contain no added token of any of the vocabularies."""
    rng = random.Random(SEED)
    strings = [*CURATED, *script_strings(rng)]
    for make, count in ((number_string, 300), (marks_string, 600), (spaces_string, 700),
                        (code_string, 350), (case_string, 300), (prose_string, 250),
                        (control_string, 200), (emoji_string, 250),
                        (lambda r: joined(r, CRITICAL, 12), 1500),
                        (lambda r: "".join(random_point(r) for _ in range(r.randint(1, 8))), 400),
                        (lambda r: joined(r, NEAR_SPECIAL, 4), 60)):
        strings += [make(rng) for _ in range(count)]
    return [s for s in unique(strings) if not any(token in s for token in SPECIAL)]


def special_strings():
    """Strings with added tokens in them, whole and damaged."""
    rng = random.Random(SEED + 1)
    return unique([*SPECIAL, *(special_string(rng) for _ in range(220))])
