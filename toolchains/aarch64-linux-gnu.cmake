# 64-bit Arm Linux with Debian's cross compiler (g++-aarch64-linux-gnu), emulated by qemu-user.
#
# Three places, never mixed:
#   the cross compiler's own sysroot  libc, libstdc++ and libgcc, at build time and under qemu
#   build/sysroot-arm64               every other library, see scripts/make_arm64_sysroot.sh
#   the build machine                 programs only
# No -m flags here: the baseline is the ABI floor (armv8-a), stronger flags belong to single files.
#
# The emulated CPU is qemu's `max` unless the environment says otherwise, so one build is tested as
# several CPUs:  QEMU_CPU=cortex-a53 ctest --preset arm64-emu

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)

set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_ASM_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

get_filename_component(CMAKE_FIND_ROOT_PATH
  "${CMAKE_CURRENT_LIST_DIR}/../build/sysroot-arm64" ABSOLUTE)
if(NOT IS_DIRECTORY "${CMAKE_FIND_ROOT_PATH}/usr")
  message(FATAL_ERROR
    "${CMAKE_FIND_ROOT_PATH} is missing: run scripts/install_dependencies.sh --cross")
endif()

# What the user names is looked at too, for example an installed midge.
list(APPEND CMAKE_FIND_ROOT_PATH ${CMAKE_PREFIX_PATH})

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# PKG_CONFIG_LIBDIR replaces pkg-config's own path, so nothing of the build machine is found.
set(ENV{PKG_CONFIG_SYSROOT_DIR} "${CMAKE_FIND_ROOT_PATH}")
set(ENV{PKG_CONFIG_LIBDIR}
  "${CMAKE_FIND_ROOT_PATH}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_FIND_ROOT_PATH}/usr/share/pkgconfig")
set(ENV{PKG_CONFIG_PATH} "")

set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
