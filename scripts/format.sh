#!/usr/bin/env bash
# Formats the tracked C and C++ files with clang-format 19 and the .clang-format of the repository.
# usage: scripts/format.sh [--check]
#   --check  changes nothing and fails when a file would change
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mode=(-i)
case ${1:-} in
  "") ;;
  --check) mode=(--dry-run -Werror) ;;
  *) fail "unknown option $1; usage: format.sh [--check]" ;;
esac
command -v clang-format-19 >/dev/null || fail "needs the package clang-format-19"

cd "$repo_root"
git ls-files -z '*.c' '*.cc' '*.cpp' '*.h' '*.hpp' | xargs -0 --no-run-if-empty clang-format-19 "${mode[@]}"
