#!/usr/bin/env bash
# Builds the fuzz targets (preset fuzz, needs clang 19) and runs each for a time, starting from the
# committed corpus and from what earlier runs found (build/fuzz/found). Prints one line for each
# target; a finding ends its target, names the file that reproduces it and fails the script.
# usage: scripts/fuzz.sh MINUTES [TARGET] [--jobs N]
#   MINUTES   for each target; fractions such as 0.5 are allowed
#   TARGET    only this one (the folders of tests/fuzz/corpus)
#   --jobs N  N targets at a time (default: 1)
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

usage="usage: fuzz.sh MINUTES [TARGET] [--jobs N]"
minutes=
only=
jobs=1
while [ $# -gt 0 ]; do
  case $1 in
    --jobs)
      jobs=$(option_value "$@")
      shift
      ;;
    -*) fail "unknown option $1; $usage" ;;
    *)
      if [ -z "$minutes" ]; then
        minutes=$1
      elif [ -z "$only" ]; then
        only=$1
      else
        fail "$usage"
      fi
      ;;
  esac
  shift
done
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || fail "$usage"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || fail "--jobs wants a positive number, got $jobs"
# libFuzzer takes 0 seconds as no limit.
seconds=$(awk -v minutes="$minutes" 'BEGIN { s = int(minutes * 60); print s < 1 ? 1 : s }')

cd "$repo_root"
targets=()
for folder in tests/fuzz/corpus/*/; do
  target=$(basename "$folder")
  [ -z "$only" ] || [ "$only" = "$target" ] || continue
  targets+=("$target")
done
[ ${#targets[@]} -gt 0 ] || fail "no target $only in tests/fuzz/corpus"

quietly configure-fuzz cmake --preset fuzz -D MIDGE_UNITY=ON
quietly build-fuzz cmake --build --preset fuzz

# The targets write small files by the million: in memory, where the system has such a folder.
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo "${TMPDIR:-/tmp}")" midge-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT

# run_target NAME: one target; its line goes to stdout.
run_target() {
  local name=$1 code=0 log=$logs_dir/fuzz-$1.log
  local found=build/fuzz/found/$name artifacts=build/fuzz/artifacts/$name
  mkdir -p "$found" "$artifacts" "$logs_dir"
  # A finding is a crash, a sanitizer's report, 5 s for one input or more than 1 GB of memory.
  TMPDIR=$scratch build/fuzz/tests/fuzz/"fuzz_$name" \
    -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=16384 -print_final_stats=1 \
    -dict=tests/fuzz/dictionaries/"$name".dict -artifact_prefix="$artifacts/" \
    "$found" tests/fuzz/corpus/"$name" >"$log" 2>&1 </dev/null || code=$?
  local executions coverage features reproducer
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  coverage=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  features=$(sed -n 's/.* ft: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-16s %10s executions, %5s edges, %6s features, ' \
    "$name" "${executions:-?}" "${coverage:-?}" "${features:-?}"
  if [ "$code" -eq 0 ]; then
    printf 'no finding\n'
    return 0
  fi
  reproducer=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  printf 'FINDING: %s (log: %s)\n' "${reproducer:-no input was written}" "$log"
  return 1
}

failed=no
running=0
for target in "${targets[@]}"; do
  if [ "$running" -eq "$jobs" ]; then
    wait -n || failed=yes
    running=$((running - 1))
  fi
  run_target "$target" &
  running=$((running + 1))
done
while [ "$running" -gt 0 ]; do
  wait -n || failed=yes
  running=$((running - 1))
done
[ "$failed" = no ]
