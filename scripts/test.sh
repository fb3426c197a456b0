#!/usr/bin/env bash
# Installs, configures, builds and runs every test: natively, then the arm64 build under the
# emulator as two CPUs and its kernel tests as two more, then each fuzz target for a minute. All
# phases run even when an earlier one failed; the exit code is 1 then.
# usage: scripts/test.sh [--native-only] [--jobs N]
#   --native-only  no cross build and no emulator
#   --jobs N       N jobs at a time (default: the number of processors)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

native_only=no
jobs=$(nproc)
while [ $# -gt 0 ]; do
  case $1 in
    --native-only) native_only=yes ;;
    --jobs)
      jobs=$(option_value "$@")
      shift
      ;;
    *) fail "unknown option $1; usage: test.sh [--native-only] [--jobs N]" ;;
  esac
  shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs wants a positive number, got $jobs"

cd "$repo_root"
mkdir -p "$logs_dir"
report=()         # one line for each phase that ran
failed_phases=()
quoted_test=      # what the end of the output quotes: the first failed test run, or else the last
test_failed=no

# phase NAME COMMAND...: runs COMMAND under a heading and keeps the outcome for the end.
phase() {
  local name=$1 start=$SECONDS code=0
  shift
  printf '\n== %s (started after %d s)\n' "$name" "$start"
  "$@" || code=$?
  if [ "$code" -eq 0 ]; then
    report+=("$(printf '%5d s  passed  %s' $((SECONDS - start)) "$name")")
  else
    report+=("$(printf '%5d s  FAILED  %s' $((SECONDS - start)) "$name")")
    failed_phases+=("$name")
  fi
  return "$code"
}

# test_log NAME: where the output of that test phase is kept.
test_log() { printf '%s\n' "$logs_dir/${1// /-}.log"; }

# The tests that depend on the CPU's ISA levels.
kernel_tests='^(Kernels|Levels|CpuFeatures|HarnessSelfTest|Selection)\.'

# run_ctest NAME PRESET [OPTION...]: the tests of a preset, shown and kept.
run_ctest() {
  local name=$1 preset=$2
  shift 2
  ctest --preset "$preset" --parallel "$jobs" "$@" </dev/null 2>&1 | tee "$(test_log "$name")"
}

# test_phase NAME PRESET [OPTION...]
test_phase() {
  if [ "$test_failed" = no ]; then
    quoted_test=$1
  fi
  phase "$1" run_ctest "$@" || test_failed=yes
}

# build_phases PRESET: configures and builds; fails when the tests cannot be run.
build_phases() {
  phase "configure $1" quietly "configure-$1" cmake --preset "$1" &&
    phase "build $1" quietly "build-$1" cmake --build --preset "$1" --parallel "$jobs"
}

install_options=(--fuzz)
if [ "$native_only" = no ]; then
  install_options+=(--cross)
fi

phase "dependencies" scripts/install_dependencies.sh "${install_options[@]}" || true
if build_phases dev; then
  test_phase "test dev" dev
fi
if [ "$native_only" = no ] && build_phases arm64-emu; then
  for cpu in cortex-a53 max; do
    QEMU_CPU=$cpu test_phase "test arm64-emu $cpu" arm64-emu
  done
  # Between the two lie the levels of these.
  for cpu in cortex-a76 max,sve=off; do
    QEMU_CPU=$cpu test_phase "test kernels arm64-emu $cpu" arm64-emu --tests-regex "$kernel_tests"
  done
fi

phase "fuzz" scripts/fuzz.sh 1 --jobs "$jobs" || true

printf '\n== phases (%d s in all)\n' "$SECONDS"
printf '%s\n' "${report[@]}"
if [ ${#failed_phases[@]} -gt 0 ]; then
  printf 'FAILED phases:' >&2
  printf ' [%s]' "${failed_phases[@]}" >&2
  printf '\n' >&2
fi
# The closing lines are ctest's own summary.
if [ -n "$quoted_test" ]; then
  printf '\n== %s, as ctest sums it up\n' "$quoted_test"
  sed -n '/% tests passed/,$p' "$(test_log "$quoted_test")"
fi
[ ${#failed_phases[@]} -eq 0 ]
