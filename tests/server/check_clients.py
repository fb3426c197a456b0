#!/usr/bin/env python3
"""Runs clients that people use against `midge serve`.

usage: check_clients.py PROGRAM [--with openai,curl] [--long] [--skip-missing]

Starts the server on a free port, runs the checks of each client and stops it by SIGTERM, after
which it must end with code 0. A line for each check; exit code 1 if one failed. Who the clients are
and their versions: clients.txt, clients_long.txt; scripts/install_dependencies.sh --clients
installs them into build/clients.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from clients import harness, with_curl, with_langchain, with_lm_eval, with_openai

CLIENTS = {"openai": with_openai, "curl": with_curl, "lm-eval": with_lm_eval,
           "langchain": with_langchain}
USUAL = ("openai", "curl")
SKIPPED = 77


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("program", type=Path, help="the midge to be tested")
    parser.add_argument("--with", dest="clients", metavar="CLIENT,...",
                        help=f"some of {', '.join(CLIENTS)} (default: {','.join(USUAL)})")
    parser.add_argument("--long", action="store_true", help="all of them")
    parser.add_argument("--no-grammars", action="store_true",
                        help="the program was built without llguidance")
    parser.add_argument("--skip-missing", action="store_true",
                        help=f"a client that is not installed is left out, with exit code {SKIPPED} "
                        "if nothing failed (default: it is a failure)")
    given = parser.parse_args()
    names = list(CLIENTS if given.long else USUAL)
    if given.clients is not None:
        names = given.clients.split(",")
    unknown = [name for name in names if name not in CLIENTS]
    if unknown:
        parser.error(f"no client is called {unknown[0]!r}; there are {', '.join(CLIENTS)}")
    if not given.program.is_file():
        parser.error(f"{given.program}: no such program")
    return given, names


def run_check(name, check, context):
    begin = time.monotonic()
    title = f"{name}: {check.__doc__}"
    try:
        figures = check(context)
    except Exception as error:  # whatever a client raises, the other checks run
        print(f"FAILED  {title}", flush=True)
        is_ours = isinstance(error, harness.CheckFailed)
        print(str(error) if is_ours else traceback.format_exc().rstrip(), flush=True)
        return False
    seconds = time.monotonic() - begin
    print(f"ok      {title} ({seconds:.1f} s)" + (f": {figures}" if figures else ""), flush=True)
    return True


def check_end(context):
    """SIGTERM ends the server with code 0"""
    context.server.stop()


def main():
    given, names = read_arguments()
    missing = {name: why for name in names if (why := CLIENTS[name].missing()) is not None}
    for name, why in missing.items():
        print(f"{'skipped' if given.skip_missing else 'FAILED '} {name}: {why}", flush=True)
    names = [name for name in names if name not in missing]
    # Where a proxy is set, it is not for this.
    for variable in "NO_PROXY", "no_proxy":
        os.environ[variable] = "127.0.0.1"
    results = []
    if names:
        with tempfile.TemporaryDirectory(prefix="midge-clients-") as folder:
            server = harness.Server(given.program.resolve())
            context = harness.Context(given.program.resolve(), server, folder)
            try:
                for name in names:
                    left_out = getattr(CLIENTS[name], "NEED_GRAMMARS", []) if given.no_grammars else []
                    results += [run_check(name, check, context) for check in CLIENTS[name].CHECKS
                                if check not in left_out]
            finally:
                results.append(run_check("server", check_end, context))
    print(f"{len(results)} checks, {results.count(False)} failed, {len(missing)} clients missing")
    if False in results or (missing and not given.skip_missing):
        return 1
    return SKIPPED if missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except harness.CheckFailed as error:  # it does not start
        sys.exit(str(error))
