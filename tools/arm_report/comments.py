"""What the sources of a kernel say about it in their head comments."""
import dataclasses
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNELS = ROOT / "kernels" / "arm64"


@dataclasses.dataclass
class Comments:
    """Of the files of one kernel: assembly, C++, and the arm64 headers that they include."""
    files: list[str]       # relative to the repository
    limits: list[str]      # the sentences with "bound by"
    registers: list[str]   # the paragraphs that start with "Registers"


def head_paragraphs(text):
    """The comment that a file starts with, cut at its empty lines; without slashes."""
    paragraphs = [[]]
    for line in text.splitlines():
        if not line.startswith("//"):
            break
        line = line[2:].removeprefix(" ").rstrip()
        if line:
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    return ["\n".join(lines) for lines in paragraphs if lines]


def family_file(kernel):
    """The C++ file: named like the kernel, or like it without one of its operands' tokens."""
    tokens = kernel.split("_")
    names = [kernel] + ["_".join(tokens[:i] + tokens[i + 1:])
                        for i in reversed(range(1, len(tokens)))]
    for name in names:
        found = sorted(KERNELS.glob(f"*/{name}.cc"))
        if found:
            return found
    return []


def files_of(kernel):
    """The files, those named like the kernel first."""
    files = sorted(KERNELS.glob(f"*/{kernel}.S")) + family_file(kernel)
    for file in files:  # grows
        for name in re.findall(r'^#include "(kernels/arm64/[^"]+)"', file.read_text(), re.M):
            if ROOT / name not in files:
                files.append(ROOT / name)
    return files


def comments_of(kernel):
    """Collects them; repeated sentences once."""
    files = files_of(kernel)
    limits, registers = [], []
    for file in files:
        for paragraph in head_paragraphs(file.read_text()):
            if paragraph.startswith("Registers"):
                registers.append(paragraph)
            joined = " ".join(paragraph.split())
            limits += [sentence for sentence in re.split(r"(?<=\.) ", joined)
                       if re.search(r"\bbound by\b", sentence, re.I)]
    return Comments([str(file.relative_to(ROOT)) for file in files], list(dict.fromkeys(limits)),
                    registers)
