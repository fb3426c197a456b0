# What toolchains/android-arm64.cmake says without an NDK, with a wrong one, and with a folder that has
# the shape of one.
# usage: cmake -DTOOLCHAIN=file -DWORK=folder -DGENERATOR=name -P check_android.cmake
cmake_minimum_required(VERSION 3.22)
file(REMOVE_RECURSE ${WORK})
set(number 0)

# configure(home regex fails option...): ANDROID_NDK_HOME is `home`; the output matches.
function(configure home fails regex)
  math(EXPR number "${number} + 1")
  set(number ${number} PARENT_SCOPE)
  set(ENV{ANDROID_NDK_HOME} "${home}")
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/project
    -B ${WORK}/build-${number} -G ${GENERATOR} -DCMAKE_TOOLCHAIN_FILE=${TOOLCHAIN} ${ARGN}
    RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  # CMake breaks long messages into lines.
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(fails AND code EQUAL 0)
    message(FATAL_ERROR "'${home}' ${ARGN}: accepted\n${output}")
  elseif(NOT fails AND NOT code EQUAL 0)
    message(FATAL_ERROR "'${home}' ${ARGN}: refused\n${output}")
  endif()
  if(NOT output MATCHES "${regex}")
    message(FATAL_ERROR "'${home}' ${ARGN}: expected ${regex}, found\n${output}")
  endif()
endfunction()

# make_ndk(folder revision): of the official toolchain file only that it is the one that is read.
function(make_ndk folder revision)
  file(WRITE ${folder}/source.properties "Pkg.Desc = Android NDK\nPkg.Revision = ${revision}\n")
  file(WRITE ${folder}/build/cmake/android.toolchain.cmake
    "set(CMAKE_SYSTEM_NAME Android)\nset(CMAKE_SYSTEM_VERSION 1)\nmessage(STATUS \"NDK of ${folder}\")\n")
endfunction()
make_ndk(${WORK}/r27 27.2.12479018)
make_ndk(${WORK}/r25 25.2.9519653)
make_ndk(${WORK}/unknown "")

configure("" TRUE "ANDROID_NDK_HOME is not set[.].*source.properties")
configure("${WORK}/absent" TRUE "ANDROID_NDK_HOME is '[^']*/absent', where there is no build/cmake/android.toolchain.cmake")
configure("${WORK}/r25" TRUE "r25 is of version 25[.]2[.]9519653, expected 26 or newer")
configure("${WORK}/unknown" TRUE "source.properties names no Pkg.Revision")
configure("${WORK}/r27" FALSE
  "NDK of [^ ]*/r27.*CMAKE_SYSTEM_NAME=Android.*ANDROID_ABI=arm64-v8a.*ANDROID_PLATFORM=android-24.*ANDROID_STL=c[+][+]_static.*FLEXIBLE_PAGE_SIZES=ON.*max-page-size=16384")
configure("${WORK}/r27" FALSE "ANDROID_PLATFORM=android-21" -DANDROID_PLATFORM=android-21)
configure("${WORK}/r27" FALSE "ANDROID_STL=c[+][+]_shared" -DANDROID_STL=c++_shared)
configure("${WORK}/r27" TRUE "ANDROID_PLATFORM is 19, expected android-21 or newer"
  -DANDROID_PLATFORM=19)
configure("${WORK}/r27" TRUE "ANDROID_ABI is x86_64, expected arm64-v8a" -DANDROID_ABI=x86_64)
# By a variable of CMake instead of the environment.
configure("" FALSE "NDK of [^ ]*/r27" -DANDROID_NDK_HOME=${WORK}/r27)
file(REMOVE_RECURSE ${WORK})
message(STATUS "${number} configurations")
