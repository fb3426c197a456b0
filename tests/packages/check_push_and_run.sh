#!/usr/bin/env bash
# Runs packaging/android/push-and-run.sh with a stand-in for adb, whose device is a folder of this machine.
# usage: check_push_and_run.sh SCRIPT PROGRAM MODEL WORK
set -euo pipefail

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

script=$1 program=$2 model=$3 work=$4
rm -rf "$work"
mkdir -p "$work"/{archive/bin,device,host,tools}
cp "$script" "$work/archive/"
ln -s "$program" "$work/archive/bin/midge"
cp "$model" "$work/host/it's a model.midge"
device=/data/local/tmp
# Paths of the device become those of the folder. Every call is written down.
cat >"$work/tools/adb" <<ADB
#!/usr/bin/env bash
printf '%s\n' "\$*" >>"$work/calls"
words=("\${@//"$device"/"$work/device"}")
case \$1 in
  get-state) echo device ;;
  shell) exec sh -c "\${words[*]:1}" ;;
  push) exec cp -L "\$2" "\${words[2]}" ;;
  pull) exec cp "\${words[1]}" "\$3" ;;
esac
ADB
chmod 755 "$work/tools/adb"
export PATH=$work/tools:$PATH
run() { "$work/archive/push-and-run.sh" "$@"; }

run --out "$work/first.json" --cores 0 "$work/host/it's a model.midge" --decode-only -n 4 >/dev/null
grep -q '"schema":"midge.bench_once"' "$work/first.json" || fail "no report: $(head -c 300 "$work/first.json")"
[ "$(grep -c '^push' "$work/calls")" -eq 2 ] || fail "program and model were not pushed once each"
grep -q -- "'--cores' '0'" "$work/calls" || fail "the cores did not reach the device"

# Again: nothing is copied. Another model of the same size and name: it is.
run --out "$work/second.json" "$work/host/it's a model.midge" --decode-only -n 4 >/dev/null
[ "$(grep -c '^push' "$work/calls")" -eq 2 ] || fail "what is there was pushed again"
printf '\1' | dd of="$work/host/it's a model.midge" bs=1 seek=1000000 conv=notrunc status=none
run --out "$work/third.json" "$work/host/it's a model.midge" --decode-only -n 4 >/dev/null
[ "$(grep -c '^push' "$work/calls")" -eq 3 ] || fail "a changed model was not pushed"

for wrong in "" "--wrong" "no/such.midge" "--out" "$model --out x"; do
  # shellcheck disable=SC2086
  if run $wrong >/dev/null 2>"$work/error"; then fail "accepted: $wrong"; fi
  grep -q '^push-and-run.sh: ' "$work/error" || fail "$wrong: $(cat "$work/error")"
done
rm -rf "$work"
