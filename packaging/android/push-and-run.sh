#!/usr/bin/env bash
# Measures a model on an Android device: copies midge and the model there with adb, runs `midge bench`,
# and fetches its report. What is on the device already is not copied again.
# usage: push-and-run.sh [--serial S] [--cores LIST] [--out FILE] MODEL [BENCH OPTION...]
#   MODEL         a .midge or GGUF file of this machine
#   --serial S    the device, if there are several (adb devices)
#   --cores LIST  cores to run on, as midge takes them: 4-7, prime, big, all (default: chosen)
#   --out FILE    where the report goes (default: midge-bench.json)
# example: push-and-run.sh --cores big model.midge --quick
set -euo pipefail

fail() {
  printf 'push-and-run.sh: %s\n' "$*" >&2
  exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage="usage: push-and-run.sh [--serial S] [--cores LIST] [--out FILE] MODEL [BENCH OPTION...]"
adb=(adb)
cores=()
out=midge-bench.json
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help)
      sed -n 's/^# \{0,1\}//; 2,9p' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    --serial | --cores | --out)
      [ $# -ge 2 ] || fail "$1 wants a value; $usage"
      case $1 in
        --serial) adb+=(-s "$2") ;;
        --cores) cores=(--cores "$2") ;;
        --out) out=$2 ;;
      esac
      shift 2
      ;;
    --)
      shift
      break
      ;;
    -*) fail "unknown option $1; $usage" ;;
    *) break ;;
  esac
done
[ $# -ge 1 ] || fail "$usage"
model=$1
shift
for option in "$@"; do
  case $option in
    --serial | --cores | --out) fail "$option stands before MODEL; $usage" ;;
  esac
done
[ -f "$model" ] || fail "$model: no such file"
case $model in
  *-00001-of-*.gguf) fail "$model is one of several files; midge pack makes one of them" ;;
esac
program=$here/bin/midge
[ -f "$program" ] || fail "$program: no such file; run this script where the archive was unpacked"
command -v adb >/dev/null || fail "no adb: install the Android platform tools"
"${adb[@]}" get-state >/dev/null || fail "adb reaches no device"

# quoted WORD...: for the device's shell, with a space before each.
quoted() {
  local word
  for word in "$@"; do printf " '%s'" "${word//\'/\'\\\'\'}"; done
}

device=/data/local/tmp/midge
"${adb[@]}" shell mkdir -p "$device"

# push_new FILE NAME: unless the file of that name has the same bytes. Models are gigabytes.
push_new() {
  local ours theirs
  ours=$({ md5sum <"$1" || md5 -q "$1"; } 2>/dev/null | cut -c1-32 || true)  # macOS: md5
  theirs=$("${adb[@]}" shell "md5sum <$(quoted "$device/$2")" 2>/dev/null | cut -c1-32 || true)
  if [ -z "$ours" ] || [ "$ours" != "$theirs" ]; then "${adb[@]}" push "$1" "$device/$2"; fi
}
push_new "$program" midge
"${adb[@]}" shell chmod 755 "$device/midge"
name=$(basename "$model")
case $name in
  midge | bench.json) fail "$model: the device has another file of that name" ;;
esac
push_new "$model" "$name"

# Rates of the kernels are kept beside them. An app gives its own folder.
"${adb[@]}" shell "cd $device && ./midge bench$(quoted "./$name") --json --cache-dir $device/cache$(quoted ${cores[@]+"${cores[@]}"} "$@") > bench.json"
"${adb[@]}" pull "$device/bench.json" "$out"
printf 'report: %s\n' "$out"
