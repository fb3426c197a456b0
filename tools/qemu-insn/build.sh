#!/bin/sh
# Builds the plugin for Debian 12's qemu-user (7.2, plugin interface 1); needs gcc only.
# usage: tools/qemu-insn/build.sh [FILE]    default: build/qemu-insn/insn_count.so of the repository
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../build/qemu-insn/insn_count.so}
mkdir -p "$(dirname "$out")"
gcc -std=gnu11 -O2 -Wall -Wextra -Wshadow -Wconversion -Werror -fPIC -shared -fvisibility=hidden \
  "$here/insn_count.c" "$here/image.c" "$here/kinds.c" -o "$out"
