# 64-bit Arm Linux with clang, on top of the C library, libstdc++ and linker of Debian's cross compiler
# (g++-aarch64-linux-gnu). The libraries and the emulator are those of aarch64-linux-gnu.cmake.
#
# MIDGE_CLANG_VERSION: the suffix of the programs' names (default 19); empty: `clang`.
set(MIDGE_CLANG_VERSION 19 CACHE STRING "Version of clang in the names of its programs")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES MIDGE_CLANG_VERSION)
set(midge_clang_suffix "")
if(MIDGE_CLANG_VERSION)
  set(midge_clang_suffix -${MIDGE_CLANG_VERSION})
endif()

include(${CMAKE_CURRENT_LIST_DIR}/aarch64-linux-gnu.cmake)

set(CMAKE_C_COMPILER clang${midge_clang_suffix})
set(CMAKE_CXX_COMPILER clang++${midge_clang_suffix})
set(CMAKE_ASM_COMPILER clang${midge_clang_suffix})
foreach(language IN ITEMS C CXX ASM)
  set(CMAKE_${language}_COMPILER_TARGET aarch64-linux-gnu)
endforeach()
# clang finds the cross compiler's C library beside the libgcc that it takes from it, and its linker.
