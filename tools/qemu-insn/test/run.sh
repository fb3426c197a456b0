#!/bin/sh
# Runs kinds.s under the plugin and compares the counts with those read off the source by hand.
# usage: tools/qemu-insn/test/run.sh    exit code 77: a tool is missing
set -eu
cd "$(dirname "$0")"
for tool in gcc aarch64-linux-gnu-gcc qemu-aarch64; do
  command -v $tool >/dev/null || { echo "skipped: needs $tool"; exit 77; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
../build.sh "$work/insn_count.so"
aarch64-linux-gnu-gcc -nostdlib -static kinds.s -o "$work/kinds"
qemu-aarch64 -cpu max -plugin "$work/insn_count.so,mem=on,blocks=on,profile=9,out=$work/out" "$work/kinds"

kinds='branch 1 load 7 store 3 atomic 5 prefetch 1 int 2 system 2 fp_scalar 2 simd_load 6 simd_store 3 simd_dot 7 simd_mmla 3 simd_bf16 5 simd_fma 9 simd_other 4 sve_load 3 sve_store 2 sve_dot 5 sve_mmla 4 sve_fma 2 sve_other 1'
f=0x$(aarch64-linux-gnu-nm "$work/kinds" | sed -n 's/^0*\([0-9a-f]*\) t f$/\1/p')
while read -r expected; do
  grep -q "^$expected\$" "$work/out" || { echo "missing: $expected"; cat "$work/out"; exit 1; }
done <<EOF
total insns 6084 .*
region 1 entries 1 own insns 77 $kinds bytes_loaded [1-9].*
region 1 entries 1 all insns 77 $kinds bytes_loaded [1-9].*
region 2 entries 1000 own insns 2000 simd_dot 1000 simd_mmla 1000 bytes_loaded 0 bytes_stored 0
region 2 entries 1000 all insns 2000 simd_dot 1000 simd_mmla 1000 bytes_loaded 0 bytes_stored 0
block $(printf '0x%x' $((f + 4))) insns 2 executed 1000
function f insns 3000
function _start insns 3084
EOF
echo "counts agree"
