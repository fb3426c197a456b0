#!/usr/bin/env bash
# Runs clang-tidy 19 with the .clang-tidy of the repository over every source of the dev build.
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
if [ ! -f build/dev/compile_commands.json ]; then
  quietly configure-dev cmake --preset dev
fi
# Assembly files are in the list of commands too; clang-tidy reads C and C++ alone.
run-clang-tidy-19 -quiet -p build/dev -j "$jobs" '\.(c|cc)$'
