#!/usr/bin/env python3
"""Makes all golden data of tests/data/golden and verifies it (under a minute on one core).

    pip install -r tools/oracle/requirements.txt
    python3 tools/oracle/make_all.py --out tests/data/golden

All but llama_cpp/, which needs an npm package as well: make_llama_cpp.py. That folder is verified.
"""
import argparse
import os
import subprocess
import sys

# In this order: the GGUF files are made from the checkpoints.
SCRIPTS = ("make_models.py", "make_gguf.py", "make_blocks.py", "make_sampling.py", "verify.py")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, help="folder of the golden data")
    out = parser.parse_args().out
    here = os.path.dirname(os.path.abspath(__file__))
    for script in SCRIPTS:
        subprocess.run([sys.executable, os.path.join(here, script), "--out", out], check=True)


if __name__ == "__main__":
    main()
