# 64-bit Android, by the toolchain file of the official NDK (r26 or newer), which ANDROID_NDK_HOME or
# the environment variable of that name points to. It is given what midge wants:
#
#   ANDROID_ABI        arm64-v8a, the only one
#   ANDROID_PLATFORM   android-24; midge's own code works from 21 on
#   ANDROID_STL        c++_static, so that the library needs no other
#   ANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES  pages of 4 and 16 KiB (Android 15)
#
# docs/android.md says what to do with the result.
set(MIDGE_NDK_MIN 26)

# Also for the projects that CMake makes to try the compiler.
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES ANDROID_NDK_HOME)
if(NOT ANDROID_NDK_HOME)
  set(ANDROID_NDK_HOME "$ENV{ANDROID_NDK_HOME}")
endif()
if(NOT ANDROID_NDK_HOME)
  message(FATAL_ERROR "ANDROID_NDK_HOME is not set. Set it to the folder of an Android NDK, r${MIDGE_NDK_MIN} or newer (https://developer.android.com/ndk/downloads): the one that has source.properties and build/.")
endif()
set(midge_ndk_toolchain "${ANDROID_NDK_HOME}/build/cmake/android.toolchain.cmake")
if(NOT EXISTS "${midge_ndk_toolchain}")
  message(FATAL_ERROR "ANDROID_NDK_HOME is '${ANDROID_NDK_HOME}', where there is no build/cmake/android.toolchain.cmake. Set it to the folder of an Android NDK: the one that has source.properties and build/.")
endif()
set(midge_ndk_revision "")
if(EXISTS "${ANDROID_NDK_HOME}/source.properties")
  file(STRINGS "${ANDROID_NDK_HOME}/source.properties" midge_ndk_revision REGEX "^Pkg[.]Revision *=")
  string(REGEX REPLACE "^Pkg[.]Revision *= *" "" midge_ndk_revision "${midge_ndk_revision}")
endif()
if(NOT midge_ndk_revision MATCHES "^[0-9]+[.]")
  message(FATAL_ERROR "${ANDROID_NDK_HOME}/source.properties names no Pkg.Revision, so the version of the NDK is not known; expected ${MIDGE_NDK_MIN} or newer")
endif()
if(midge_ndk_revision VERSION_LESS ${MIDGE_NDK_MIN})
  message(FATAL_ERROR "the NDK in ${ANDROID_NDK_HOME} is of version ${midge_ndk_revision}, expected ${MIDGE_NDK_MIN} or newer")
endif()

if(ANDROID_ABI AND NOT ANDROID_ABI STREQUAL "arm64-v8a")
  message(FATAL_ERROR "ANDROID_ABI is ${ANDROID_ABI}, expected arm64-v8a")
endif()
set(ANDROID_ABI arm64-v8a)
if(NOT ANDROID_PLATFORM)
  set(ANDROID_PLATFORM android-24)
endif()
if(ANDROID_PLATFORM MATCHES "^(android-)?([0-9]+)$" AND CMAKE_MATCH_2 LESS 21)
  message(FATAL_ERROR "ANDROID_PLATFORM is ${ANDROID_PLATFORM}, expected android-21 or newer")
endif()
if(NOT ANDROID_STL)
  set(ANDROID_STL c++_static)
endif()
set(ANDROID_SUPPORT_FLEXIBLE_PAGE_SIZES ON)
# NDKs before r27 do not know that variable.
string(APPEND CMAKE_SHARED_LINKER_FLAGS_INIT " -Wl,-z,max-page-size=16384")
string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -Wl,-z,max-page-size=16384")

include("${midge_ndk_toolchain}")
