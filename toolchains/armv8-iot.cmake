# Boards with 64-bit Arm cores, any from Armv8.0 on: programs without any shared library, for size.
# The compiler, the libraries and the emulator are those of aarch64-linux-gnu.cmake. Meant for
# MIDGE_PROFILE=iot; kernels for newer cores are in the program, and chosen when it runs.
include(${CMAKE_CURRENT_LIST_DIR}/aarch64-linux-gnu.cmake)

# Position independent all the same, so that the system can load it anywhere.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
# Pages of 16 KiB: Raspberry Pi 5's kernel, and Android 15 on.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static-pie -Wl,-z,max-page-size=16384")
set(CMAKE_SHARED_LINKER_FLAGS_INIT "-Wl,-z,max-page-size=16384")
