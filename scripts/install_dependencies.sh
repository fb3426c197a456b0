#!/usr/bin/env bash
# Installs what the project needs on Debian 12 (docs/dependencies.md says why each package is
# there). Quick and silent to apt when everything is installed already.
# usage: scripts/install_dependencies.sh [--cross] [--fuzz] [--report] [--vocabularies]
#   --cross   also the arm64 cross compiler, the emulator and the arm64 sysroot
#   --fuzz    also the compiler of scripts/fuzz.sh
#   --report  also what tools/arm_report needs beside --cross
#   --vocabularies  also what tools/vocab/fetch_vocabularies.py and tools/fetch_real_model.sh need;
#             going on without npm is no failure, because only tests of the large vocabularies do
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

native_packages=(
  cmake ninja-build g++ pkg-config
  libcli11-dev libcpuinfo-dev libedit-dev libpthreadpool-dev libsentencepiece-dev libsimdjson-dev
  libutf8proc-dev libxnnpack-dev libxxhash-dev libboost-dev
  libbenchmark-dev libgtest-dev libpcre2-dev
)
# libc6-dev-arm64-cross is only recommended by the cross compiler; dpkg-dev unpacks source packages;
# python3 runs the test of the kernels' instruction counts.
cross_packages=(g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user dpkg-dev python3)
fuzz_packages=(clang-19 libclang-rt-19-dev)
report_packages=(llvm-19)
vocabulary_packages=(python3 python3-pip)

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

packages=("${native_packages[@]}")
cross=no
npm=no
for argument in "$@"; do
  case $argument in
    --cross)
      cross=yes
      packages+=("${cross_packages[@]}")
      ;;
    --fuzz) packages+=("${fuzz_packages[@]}") ;;
    --report) packages+=("${report_packages[@]}") ;;
    --vocabularies)
      packages+=("${vocabulary_packages[@]}")
      npm=yes
      ;;
    *)
      fail "unknown option $argument; usage: install_dependencies.sh [--cross] [--fuzz] [--report]" \
        "[--vocabularies]"
      ;;
  esac
done

missing=()
for package in "${packages[@]}"; do
  is_installed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
  say "packages: all ${#packages[@]} are installed"
else
  command -v apt-get >/dev/null || fail "needs apt-get (Debian 12); missing: ${missing[*]}"
  say "packages: updating the package lists"
  # A foreign source that is down must not stop us; the installation below tells what matters.
  quietly apt-update apt_get update || say "packages: going on with the lists there are"
  say "packages: installing ${missing[*]}"
  quietly apt-install apt_get install -y --no-install-recommends "${missing[@]}"
fi

# npm may come from elsewhere than Debian, whose package conflicts with that then.
if [ "$npm" = yes ] && ! command -v npm >/dev/null; then
  say "packages: installing npm"
  quietly apt-install-npm apt_get install -y --no-install-recommends npm ||
    say "packages: going on without npm"
fi

# cargo may come from elsewhere than Debian too. It builds llguidance, which the build can do without.
if ! command -v cargo >/dev/null; then
  say "packages: installing cargo"
  quietly apt-install-cargo apt_get install -y --no-install-recommends cargo-web ||
    say "packages: going on without cargo"
fi

if [ "$cross" = yes ]; then
  "$repo_root/scripts/make_arm64_sysroot.sh"
fi
