#!/usr/bin/env bash
# Measures a model on an Android device: copies midge and the model there with adb, runs `midge bench`,
# and fetches its report. What is on the device already is not copied again.
# usage: push-and-run.sh [--serial S] [--cores LIST] [--out FILE] MODEL [BENCH OPTION...]
#   MODEL         a .midge or GGUF file of this machine
#   --serial S    the device, if there are several (adb devices)
#   --cores LIST  cores to run on, as midge takes them: 4-7, prime, big, all (default: chosen)
#   --out FILE    where the report goes (default: midge-bench.json)
# example: push-and-run.sh --cores big model.midge -n 64
set -euo pipefail

fail() {
  printf 'push-and-run.sh: %s\n' "$*" >&2
  exit 2
}

usage="usage: push-and-run.sh [--serial S] [--cores LIST] [--out FILE] MODEL [BENCH OPTION...]"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
adb=(adb)
cores=()
out=midge-bench.json
while [ $# -gt 0 ]; do
  case $1 in
    --serial | --cores | --out)
      [ $# -ge 2 ] || fail "$1 wants a value; $usage"
      case $1 in
        --serial) adb+=(-s "$2") ;;
        --cores) cores=(--cores "$2") ;;
        --out) out=$2 ;;
      esac
      shift 2
      ;;
    -*) fail "unknown option $1; $usage" ;;
    *) break ;;
  esac
done
[ $# -ge 1 ] || fail "$usage"
model=$1
shift
[ -f "$model" ] || fail "$model: no such file"
program=$here/bin/midge
[ -f "$program" ] || fail "$program: no such file; run this script where the archive was unpacked"
command -v adb >/dev/null || fail "no adb: install the Android platform tools"
"${adb[@]}" get-state >/dev/null || fail "adb reaches no device"

device=/data/local/tmp/midge
"${adb[@]}" shell mkdir -p "$device"

# push_new FILE NAME: unless a file of that size is there. Models are gigabytes.
push_new() {
  local size found
  size=$(wc -c <"$1" | tr -d ' ')
  found=$("${adb[@]}" shell "wc -c < $device/$2" 2>/dev/null | tr -d ' \r\n' || true)
  [ "$found" = "$size" ] || "${adb[@]}" push "$1" "$device/$2"
}
"${adb[@]}" push "$program" "$device/midge"
"${adb[@]}" shell chmod 755 "$device/midge"
name=model.${model##*.}
push_new "$model" "$name"

# quoted WORD...: for the device's shell.
quoted() {
  local word
  for word in "$@"; do printf " '%s'" "${word//\'/\'\\\'\'}"; done
}
# Rates of the kernels are kept there: an app's folder for files would be given by the app.
"${adb[@]}" shell "cd $device && ./midge bench $name --json --cache-dir $device/cache$(quoted "${cores[@]}" "$@") > bench.json"
"${adb[@]}" pull "$device/bench.json" "$out"
printf 'report: %s\n' "$out"
