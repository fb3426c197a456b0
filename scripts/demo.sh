#!/usr/bin/env bash
# Installs what is missing, builds the program and lets the bundled model tell a story.
# The story goes to stdout, everything else to stderr.
# usage: scripts/demo.sh
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[ $# -eq 0 ] || fail "unknown option $1; usage: demo.sh"

"$repo_root/scripts/install_dependencies.sh"
cd "$repo_root"
say "building build/release/midge"
quietly configure-release cmake --preset release
# The targets of cli/ alone: a first look does not wait for the tests to compile.
quietly build-release cmake --build --preset release --target cli/all --parallel "$(nproc)"
build/release/midge run --raw "Once upon a time" -n 200
