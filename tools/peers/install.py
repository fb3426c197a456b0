#!/usr/bin/env python3
"""Installs the peers into build/peers: builds llama.cpp, fetches ONNX Runtime and LiteRT.

usage: tools/peers/install.py [llama.cpp] [python]      without a name: both
What is there already in the pinned version is left alone. Needs npm, git, cmake, ninja, clang 19
and Python's venv. Takes a few minutes.
"""
import argparse
import hashlib
import pathlib
import shutil
import subprocess
import sys
import tarfile

from places import BUILD, HERE, LLAMA_BIN, PYTHON

# The npm package carries llama.cpp's source as a git bundle.
PACKAGE = "node-llama-cpp"
PACKAGE_VERSION = "3.22.1"
PACKAGE_SHA256 = "a0d9dd80eacd2ab1cfe71aee57ac8a806487fd70b3d2a38fbec637752d9e5c5f"
LLAMA_CPP_VERSION = "v0.5.0"
BUNDLE = "package/llama/gitRelease.bundle"
TARGETS = ("llama-bench", "llama-batched-bench")
# g++ 12 crashes on the AMX sources.
OPTIONS = ("-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_C_COMPILER=clang-19",
           "-DCMAKE_CXX_COMPILER=clang++-19", "-DGGML_NATIVE=ON", "-DGGML_OPENMP=OFF",
           "-DLLAMA_CURL=OFF", "-DLLAMA_OPENSSL=OFF", "-DLLAMA_BUILD_TESTS=OFF",
           "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_BUILD_EXAMPLES=OFF")
LLAMA_CPP_STAMP = BUILD / "llama.cpp.stamp"
LLAMA_CPP_WANTED = " ".join((PACKAGE_SHA256, *OPTIONS, *TARGETS))


def run(name: str, *command: object) -> None:
    """Runs a command with its output in build/peers/NAME.log; SystemExit when it fails."""
    log = BUILD / f"{name}.log"
    print(f"install: {name}", file=sys.stderr, flush=True)
    with open(log, "w", encoding="utf-8") as file:
        code = subprocess.run([str(part) for part in command], stdout=file,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              check=False).returncode
    if code != 0:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-3000:])
        sys.exit(f"install: {name} failed with exit code {code}")


def need(*programs: str) -> None:
    """SystemExit that names the programs that are not there."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        sys.exit(f"install: needs {', '.join(missing)}")


def is_current(stamp: pathlib.Path, wanted: str) -> bool:
    """Whether what the stamp stands for was installed as wanted."""
    return stamp.exists() and stamp.read_text(encoding="utf-8") == wanted


def fetch_bundle(folder: pathlib.Path) -> pathlib.Path:
    """The git bundle from the npm package, whose hash is checked, in `folder`."""
    run("npm-pack", "npm", "pack", f"{PACKAGE}@{PACKAGE_VERSION}", "--pack-destination", folder)
    archive = folder / f"{PACKAGE}-{PACKAGE_VERSION}.tgz"
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != PACKAGE_SHA256:
        sys.exit(f"install: {archive.name} has the hash {found}, expected {PACKAGE_SHA256}")
    bundle = folder / "llama.cpp.bundle"
    with tarfile.open(archive) as tar:
        source = tar.extractfile(BUNDLE)
        assert source is not None, BUNDLE
        with source, open(bundle, "wb") as target:
            shutil.copyfileobj(source, target)
    archive.unlink()
    return bundle


def has_llama_cpp() -> bool:
    """Whether llama.cpp is there as pinned here."""
    return (is_current(LLAMA_CPP_STAMP, LLAMA_CPP_WANTED)
            and all((LLAMA_BIN / target).exists() for target in TARGETS))


def install_llama_cpp() -> None:
    """llama-bench and llama-batched-bench, built for this machine."""
    if has_llama_cpp():
        return
    need("npm", "git", "cmake", "ninja", "clang-19", "clang++-19")
    LLAMA_CPP_STAMP.unlink(missing_ok=True)
    source = BUILD / "llama.cpp"
    shutil.rmtree(source, ignore_errors=True)
    bundle = fetch_bundle(BUILD)
    run("git-clone", "git", "clone", bundle, source)
    bundle.unlink()
    run("llama.cpp-configure", "cmake", "-S", source, "-B", source / "build", *OPTIONS)
    run("llama.cpp-build", "cmake", "--build", source / "build", "--target", *TARGETS)
    LLAMA_CPP_STAMP.write_text(LLAMA_CPP_WANTED, encoding="utf-8")


def install_python() -> None:
    """ONNX Runtime, LiteRT and what writes their models, in a virtual environment."""
    stamp = BUILD / "venv.stamp"
    requirements = HERE / "requirements.txt"
    wanted = requirements.read_text(encoding="utf-8")
    if is_current(stamp, wanted) and PYTHON.exists():
        return
    stamp.unlink(missing_ok=True)
    run("venv", sys.executable, "-m", "venv", "--clear", BUILD / "venv")
    run("pip-install", PYTHON, "-m", "pip", "install", "--disable-pip-version-check",
        "--only-binary", ":all:", "-r", requirements)
    stamp.write_text(wanted, encoding="utf-8")


INSTALLERS = {"llama.cpp": install_llama_cpp, "python": install_python}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", metavar="PEER", help=", ".join(INSTALLERS))
    arguments = parser.parse_args()
    for name in arguments.what:
        if name not in INSTALLERS:
            parser.error(f"{name}, expected {' or '.join(INSTALLERS)}")
    BUILD.mkdir(parents=True, exist_ok=True)
    for name in arguments.what or INSTALLERS:
        INSTALLERS[name]()


if __name__ == "__main__":
    main()
