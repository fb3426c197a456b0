#!/usr/bin/env bash
# Makes build/sysroot-arm64, the arm64 libraries of the cross build (toolchains/aarch64-linux-gnu.cmake).
#
# Everything is of the Debian release this machine runs, from the archives it is set up with, but
# through apt state of our own below build/: the machine gets no foreign architecture, no source
# lists and no packages, and root is not needed.
# - Packages that contain static libraries or headers alone are unpacked.
# - Libraries that Debian ships as shared objects only are built static from its source packages.
#   sentencepiece, which takes minutes to build, stays shared.
# - Where the archive in use does not serve such a source package, pthreadpool is built from the
#   tarball of a later Debian release, which stays in build/sources. cpuinfo, and pthreadpool if that
#   cannot be had either, stay Debian's own shared objects, found at run time through the build
#   tree's RPATH; a line says so.
#
# usage: scripts/make_arm64_sysroot.sh
# Instant when the sysroot is there. To make it anew: rm -rf build/sysroot-arm64
set -euo pipefail
# shellcheck source-path=SCRIPTDIR source=common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sysroot=$repo_root/build/sysroot-arm64
work=$repo_root/build/sysroot-arm64.work
toolchain=$repo_root/toolchains/aarch64-linux-gnu.cmake
sources=$repo_root/build/sources
stamp=$sysroot/stamp
lib_dir=usr/lib/aarch64-linux-gnu

unpacked_packages=(
  libcli11-dev libfxdiv-dev libgtest-dev libpcre2-dev libutf8proc-dev libxxhash-dev
  libcpuinfo-dev libcpuinfo0 libpthreadpool-dev libpthreadpool0
  libsentencepiece-dev libsentencepiece0
)
# Archives that must be there in the end, besides those of cpuinfo and pthreadpool.
static_libraries=(
  libbenchmark.a libclog.a libgtest.a libgtest_main.a libpcre2-8.a libsimdjson.a libutf8proc.a
)

# pthreadpool of Debian 13: commit 560c60d342a76076f0557a3946924c6478470044 of
# github.com/google/pthreadpool, packed by Debian. The hash stands in Debian 13's list of sources.
pthreadpool_tarball=pool/main/p/pthreadpool/pthreadpool_0.0~git20240616.560c60d.orig.tar.xz
pthreadpool_hash=4cc3cbd933b28131d2a34edc54f76af9fb41bc490af5eae1a5bd3cd07ea90708

# Changes with everything that decides what is built; the package versions follow it in the stamp.
recipe="recipe $(cat "${BASH_SOURCE[0]}" "$toolchain" | sha256sum | cut -c1-16)"

# One stanza for each Debian archive the machine uses, other vendors' left out.
# $(...) in the format are apt's placeholders, not the shell's.
write_sources() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(ORIGIN)|$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)' |
    awk -F '|' '$1 == "Debian" && $2 == "Packages" && $3 !~ /^cdrom:/ && !seen[$0]++ {
      printf "Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: %s\n", $3, $4, $5
      printf "Targets: Packages Sources\n"
      printf "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
    }' >"$work/apt/sources.list.d/debian.sources"
}

# Read by apt-get -c after the machine's own configuration, so proxies and the like still hold.
# The sandbox user of apt could not enter a build tree in somebody's home directory, and the
# machine's update hooks are not ours to run.
write_apt_configuration() {
  cat >"$work/apt/apt.conf" <<CONFIGURATION
#clear APT::Architectures;
#clear APT::Update;
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Dir::State "$work/apt";
Dir::State::lists "lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/apt/sources.list.d";
CONFIGURATION
}

private_apt() { apt-get -q -c "$work/apt/apt.conf" "$@"; }

prepare_apt() {
  mkdir -p "$work"/apt/{sources.list.d,lists/partial,cache/archives/partial} "$work"/{debs,sources}
  : >"$work/apt/status"
  write_apt_configuration
  write_sources
  if [ ! -s "$work/apt/sources.list.d/debian.sources" ]; then
    # Fresh images come without package lists, and the archives' names are in those.
    quietly apt-update as_root apt-get -qq update || true
    write_sources
  fi
  [ -s "$work/apt/sources.list.d/debian.sources" ] || fail "this machine uses no Debian archive"
  quietly sysroot-apt-update private_apt update
}

unpack_packages() {
  (cd "$work/debs" && quietly sysroot-download private_apt download "${unpacked_packages[@]}")
  local deb
  for deb in "$work"/debs/*.deb; do
    dpkg -x "$deb" "$sysroot"
    # shellcheck disable=SC2016
    dpkg-deb -W --showformat '${Package} ${Version}\n' "$deb" >>"$work/versions"
  done
  # Links to shared objects whose packages we did not take would hide the static libraries.
  find "$sysroot" -xtype l -name '*.so' -delete
  rm -rf "$sysroot/usr/share/doc" "$sysroot/usr/share/man"
}

fetch_source() {  # SOURCE_PACKAGE
  mkdir -p "$work/sources/$1" && cd "$work/sources/$1" && private_apt source "$1"
}

# fetch_tarball PACKAGE PATH SHA256: a tarball from the pool of the archive in use, unpacked into
# build/sources/PACKAGE. apt's own downloader, so that proxies and the like still hold.
fetch_tarball() {
  local uri file=$work/$1.tar
  uri=$(sed -n 's/^URIs: *//p' "$work/apt/sources.list.d/debian.sources" | grep -v security | head -n 1)
  /usr/lib/apt/apt-helper download-file "${uri%/}/$2" "$file" "SHA256:$3" &&
    rm -rf "${sources:?}/$1" && mkdir -p "$sources/$1" &&
    tar -xf "$file" -C "$sources/$1" --strip-components=1
}

# fetch_later_source SOURCE_PACKAGE: that of a later Debian release, if one is known here.
fetch_later_source() {
  rm -rf "${work:?}/sources/$1"
  case $1 in
    pthreadpool) fetch_tarball "$1" "$pthreadpool_tarball" "$pthreadpool_hash" ;;
    *) return 1 ;;
  esac
}

# build_source SOURCE_PACKAGE CMAKE_OPTION...: builds it static and installs it into the sysroot.
# dpkg-source has applied Debian's patches. The compiler does not look into the sysroot by itself,
# hence the include directory.
build_source() {
  local package=$1 build=$work/build/$1 tree
  local flags="-O2 -DNDEBUG -ffunction-sections -fdata-sections -isystem \"$sysroot/usr/include\""
  shift
  tree=$(find "$work/sources/$package" -mindepth 1 -maxdepth 1 -type d 2>/dev/null || true)
  [ -n "$tree" ] || tree=$sources/$package
  cmake -S "$tree" -B "$build" -G Ninja \
    -DCMAKE_TOOLCHAIN_FILE="$toolchain" \
    -DCMAKE_BUILD_TYPE=Release \
    -DCMAKE_C_FLAGS_RELEASE="$flags" -DCMAKE_CXX_FLAGS_RELEASE="$flags" \
    -DCMAKE_POSITION_INDEPENDENT_CODE=ON \
    -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_LIBDIR=lib/aarch64-linux-gnu \
    -DBUILD_SHARED_LIBS=OFF -DBUILD_TESTING=OFF -DFETCHCONTENT_FULLY_DISCONNECTED=ON "$@" &&
    cmake --build "$build" &&
    DESTDIR=$sysroot cmake --install "$build" &&
    printf '%s built from %s\n' "$package" "${tree#"$repo_root"/}" >>"$work/versions"
}

add_source_library() {  # SOURCE_PACKAGE CMAKE_OPTION...
  say "arm64 sysroot: building $1"
  (quietly "sysroot-source-$1" fetch_source "$1")
  quietly "sysroot-build-$1" build_source "$@"
}

# add_source_library for a library whose shared object is in the sysroot already: it is replaced
# when Debian's source can be had, and kept when it cannot. A build that fails is an error.
replace_shared_library() {  # SOURCE_PACKAGE CMAKE_OPTION...
  say "arm64 sysroot: building $1"
  local log=$logs_dir/sysroot-source-$1.log
  mkdir -p "$logs_dir"
  if (fetch_source "$1" >"$log" 2>&1) || fetch_later_source "$1" >>"$log" 2>&1; then
    rm -f "$sysroot/$lib_dir/lib$1".so*
    quietly "sysroot-build-$1" build_source "$@"
    [ -f "$sysroot/$lib_dir/lib$1.a" ] || fail "building $1 made no lib$1.a"
  else
    say "arm64 sysroot: no source of $1 from the archive (build/logs/sysroot-source-$1.log);" \
      "Debian's shared object is used"
    printf '%s shared\n' "$1" >>"$work/versions"
  fi
}

build_libraries() {
  # Without the code for cores that lack NEON: none do, and it takes 66 KB of the program.
  add_source_library simdjson -DSIMDJSON_DEVELOPER_MODE=OFF \
    -DCMAKE_CXX_FLAGS=-DSIMDJSON_IMPLEMENTATION_FALLBACK=0
  # GIT_VERSION 0.0.0 means: no git tree, take the version of the CMake project.
  add_source_library benchmark -DGIT_VERSION=0.0.0 -DBENCHMARK_ENABLE_TESTING=OFF \
    -DBENCHMARK_ENABLE_GTEST_TESTS=OFF -DBENCHMARK_INSTALL_DOCS=OFF -DBENCHMARK_ENABLE_WERROR=OFF
  # Without messages nothing of clog is left in it, a library of its own that nobody links.
  replace_shared_library cpuinfo -DCPUINFO_LIBRARY_TYPE=static -DCPUINFO_LOG_LEVEL=none \
    -DCPUINFO_BUILD_TOOLS=OFF -DCPUINFO_BUILD_UNIT_TESTS=OFF -DCPUINFO_BUILD_MOCK_TESTS=OFF \
    -DCPUINFO_BUILD_BENCHMARKS=OFF -DCLOG_BUILD_TESTS=OFF
  # Upstream wants FXdiv's source tree; its only file is the header that is in the sysroot.
  mkdir -p "$work/fxdiv"
  printf 'add_library(fxdiv INTERFACE)\n' >"$work/fxdiv/CMakeLists.txt"
  replace_shared_library pthreadpool -DPTHREADPOOL_LIBRARY_TYPE=static \
    -DPTHREADPOOL_BUILD_TESTS=OFF -DPTHREADPOOL_BUILD_BENCHMARKS=OFF \
    -DFXDIV_SOURCE_DIR="$work/fxdiv"
}

check_libraries() {
  local library
  for library in "${static_libraries[@]}"; do
    [ -f "$sysroot/$lib_dir/$library" ] || fail "the sysroot lacks $library"
  done
}

if [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$recipe" ]; then
  say "arm64 sysroot: there already"
  exit 0
fi
for program in aarch64-linux-gnu-g++ cmake ninja dpkg-source; do
  command -v "$program" >/dev/null || fail "no $program: run scripts/install_dependencies.sh --cross"
done

rm -rf "$sysroot" "$work"
mkdir -p "$sysroot" "$work"
printf '%s\n' "$recipe" >"$work/versions"
say "arm64 sysroot: fetching package lists"
prepare_apt
say "arm64 sysroot: unpacking ${#unpacked_packages[@]} packages"
unpack_packages
build_libraries
check_libraries
# The stamp comes last: a run that was cut short leaves none and is repeated from the start.
cp "$work/versions" "$stamp"
rm -rf "$work"
say "arm64 sysroot: done, $(du -sh "$sysroot" | cut -f1)"
