#!/usr/bin/env bash
# Installs what the project needs on Debian 12 (docs/dependencies.md says why each package is
# there). Quick and silent to apt when everything is installed already.
# usage: scripts/install_dependencies.sh [--cross] [--fuzz] [--report] [--vocabularies]
#          [--clients] [--clients-long]
#   --cross   also the arm64 cross compiler, the emulator and the arm64 sysroot
#   --fuzz    also the compiler of scripts/fuzz.sh
#   --report  also what tools/arm_report needs beside --cross
#   --vocabularies  also what tools/vocab/fetch_vocabularies.py and tools/fetch_real_model.sh need;
#             going on without npm is no failure, because only tests of the large vocabularies do
#   --clients  also curl, and the Python clients of tests/server/check_clients.py in build/clients;
#             going on without a network is no failure
#   --clients-long  and the larger clients
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

native_packages=(
  cmake ninja-build g++ pkg-config
  libcli11-dev libcpuinfo-dev libedit-dev libpthreadpool-dev libsentencepiece-dev libsimdjson-dev
  libutf8proc-dev libxnnpack-dev libxxhash-dev libboost-dev
  libbenchmark-dev libgtest-dev libpcre2-dev
  libfxdiv-dev ca-certificates
)
# libc6-dev-arm64-cross is only recommended by the cross compiler; dpkg-dev unpacks source packages;
# python3 runs the test of the kernels' instruction counts.
cross_packages=(g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user dpkg-dev python3)
fuzz_packages=(clang-19 libclang-rt-19-dev)
report_packages=(llvm-19)
vocabulary_packages=(python3 python3-pip)
client_packages=(python3 python3-venv curl ca-certificates)

is_installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

apt_get() {
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"
}

packages=("${native_packages[@]}")
cross=no
npm=no
clients=  # the file of those that are wanted
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
    --clients)
      packages+=("${client_packages[@]}")
      clients=${clients:-clients.txt}
      ;;
    --clients-long)
      packages+=("${client_packages[@]}")
      clients=clients_long.txt
      ;;
    *)
      fail "unknown option $argument; usage: install_dependencies.sh [--cross] [--fuzz] [--report]" \
        "[--vocabularies] [--clients] [--clients-long]"
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

# install_clients FILE: the Python packages that it lists, in an environment of their own. The lists
# are kept in `installed`, so that nothing is fetched twice.
install_clients() {
  local folder=$repo_root/build/clients lists=$repo_root/tests/server wanted
  wanted=$(cat "$lists/clients.txt" "$lists/$1")
  if [ -e "$folder/installed" ] && [ "$(cat "$folder/installed")" = "$wanted" ]; then
    say "clients: $folder is there"
    return
  fi
  say "clients: fetching those of tests/server/$1"
  rm -f "$folder/installed"
  quietly make-clients python3 -m venv "$folder" || return
  quietly fetch-clients "$folder/bin/python" -m pip install --disable-pip-version-check \
    --prefer-binary --requirement "$lists/$1" || return
  printf '%s\n' "$wanted" >"$folder/installed"
}

if [ -n "$clients" ]; then
  install_clients "$clients" || say "clients: going on without what could not be fetched"
fi

if [ "$cross" = yes ]; then
  "$repo_root/scripts/make_arm64_sysroot.sh"
fi
