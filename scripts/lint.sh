#!/usr/bin/env bash
# Runs clang-tidy 19 with the .clang-tidy of the repository over every source of the preset dev,
# configured in build/lint: in build/dev many sources may be compiled as one.
# usage: scripts/lint.sh [--jobs N]
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

jobs=$(nproc)
case ${1:-} in
  "") ;;
  --jobs) jobs=$(option_value "$@") ;;
  *) fail "unknown option $1; usage: lint.sh [--jobs N]" ;;
esac
command -v run-clang-tidy-19 >/dev/null || fail "needs the package clang-tidy-19"

cd "$repo_root"
quietly configure-lint cmake --preset dev -B build/lint -D MIDGE_UNITY=OFF
# Assembly files are in the list of commands too; clang-tidy reads C and C++ alone.
run-clang-tidy-19 -quiet -p build/lint -j "$jobs" '\.(c|cc|cpp)$'
