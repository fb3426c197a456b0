# Pinned sources of third-party libraries, and how each is compiled.
#
# The hashes are those of the archives that GitHub makes of a commit or a tag. Each has a witness in
# another project, because an archive that is fetched once proves nothing:
#   xxhash, utf8proc, simdjson  Debian 12's source packages are these archives, byte by byte
#   cli11                       Homebrew's formula of the version
#   pthreadpool, cpuinfo        the ports of these commits in vcpkg; XNNPACK pins the same cpuinfo
# Debian 13's tarball of the same commit of pthreadpool is packed otherwise; its hash is in
# scripts/make_arm64_sysroot.sh.
include(FetchContent)

set(midge_url_xxhash https://github.com/Cyan4973/xxHash/archive/refs/tags/v0.8.1.tar.gz)
set(midge_hash_xxhash SHA256=3bb6b7d6f30c591dd65aaaff1c8b7a5b94d81687998ca9400082c739a690436c)
set(midge_url_utf8proc https://github.com/JuliaStrings/utf8proc/archive/refs/tags/v2.8.0.tar.gz)
set(midge_hash_utf8proc SHA256=a0a60a79fe6f6d54e7d411facbfcc867a6e198608f2cd992490e46f04b1bcecc)
set(midge_url_simdjson https://github.com/simdjson/simdjson/archive/refs/tags/v3.0.1.tar.gz)
set(midge_hash_simdjson SHA256=156b1bc5eb0561b2bd166b46d191fd3d95a3e709cc63761477d3b7aec2b6e9ed)
set(midge_url_cli11 https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz)
set(midge_hash_cli11 SHA256=26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb)
set(midge_url_pthreadpool
  https://github.com/google/pthreadpool/archive/560c60d342a76076f0557a3946924c6478470044.tar.gz)
set(midge_hash_pthreadpool SHA512=d23e764e9a02f34210b3b9c5a66dae3b9e8211de6f78ec9b2672c19c48f364f4edb268ab77b1adf2802a3c35c6857deba81e48a658caa1a587fe8f3493a07f59)
set(midge_url_cpuinfo
  https://github.com/pytorch/cpuinfo/archive/ca156f7bc9109c552973414a63d310f76ef0cbf8.tar.gz)
set(midge_hash_cpuinfo SHA512=e9ec46999df1a88a1e459d3c9bf3e171a918358a66180cd6b6ef9861d832043886c00fc4c1c63c756c8f67f4d9ad69629c64fc3ffd05f16dba9e0c3191c3d82a)

# midge_fetch(name out): the folder of the pinned sources of a dependency.
function(midge_fetch name out)
  # Only the files: how they are compiled is below. Under names of our own: the first one in a tree
  # that declares a name decides for all.
  FetchContent_Declare(midge_${name} URL ${midge_url_${name}} URL_HASH ${midge_hash_${name}}
    SOURCE_SUBDIR midge_has_its_own_recipe)
  FetchContent_MakeAvailable(midge_${name})
  set(${out} ${midge_${name}_SOURCE_DIR} PARENT_SCOPE)
endfunction()

# midge_add_sources(name files...): compiles them into libmidge.
function(midge_add_sources name)
  add_library(midge_${name}_objects OBJECT ${ARGN})
  set_target_properties(midge_${name}_objects PROPERTIES
    POSITION_INDEPENDENT_CODE ON C_STANDARD 11 CXX_STANDARD 17 C_VISIBILITY_PRESET hidden
    CXX_VISIBILITY_PRESET hidden)
  target_compile_options(midge_${name}_objects PRIVATE -w)  # not ours to mend
  midge_harden(midge_${name}_objects)
  midge_size_options(midge_${name}_objects)
  set_property(GLOBAL APPEND PROPERTY MIDGE_BUNDLED_OBJECTS midge_${name}_objects)
endfunction()

# midge_copy_headers(name folder item...): as the only ones that a compilation finds in a folder
# that belongs to another machine.
function(midge_copy_headers name folder)
  set(to ${PROJECT_BINARY_DIR}/headers/${name})
  foreach(item IN LISTS ARGN)
    file(COPY ${folder}/${item} DESTINATION ${to})
  endforeach()
  target_include_directories(midge_${name} SYSTEM INTERFACE ${to})
endfunction()

# midge_host_header(name header out): a library of headers from the build machine, which serves
# every other machine as well.
function(midge_host_header name header out)
  string(TOUPPER ${name} upper)
  find_path(MIDGE_${upper}_HOST_INCLUDE_DIR ${header} NO_CMAKE_FIND_ROOT_PATH)
  mark_as_advanced(MIDGE_${upper}_HOST_INCLUDE_DIR)
  set(${out} FALSE PARENT_SCOPE)
  if(MIDGE_${upper}_HOST_INCLUDE_DIR)
    string(REGEX REPLACE "/.*" "" item ${header})
    midge_copy_headers(${name} ${MIDGE_${upper}_HOST_INCLUDE_DIR} ${item})
    midge_note_dependency(${name} "headers of the build machine")
    set(${out} TRUE PARENT_SCOPE)
  endif()
endfunction()

function(midge_build_xxhash source)
  midge_copy_headers(xxhash ${source} xxhash.h)
endfunction()

function(midge_build_cli11 source)
  midge_copy_headers(cli11 ${source}/include CLI)
endfunction()

function(midge_build_utf8proc source)
  midge_add_sources(utf8proc ${source}/utf8proc.c)
  target_compile_definitions(midge_utf8proc_objects PUBLIC UTF8PROC_STATIC)
  midge_copy_headers(utf8proc ${source} utf8proc.h)
  target_compile_definitions(midge_utf8proc INTERFACE UTF8PROC_STATIC)
endfunction()

function(midge_build_simdjson source)
  midge_add_sources(simdjson ${source}/singleheader/simdjson.cpp)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    # No code for cores without NEON: there are none.
    target_compile_definitions(midge_simdjson_objects PRIVATE SIMDJSON_IMPLEMENTATION_FALLBACK=0)
  endif()
  midge_copy_headers(simdjson ${source}/singleheader simdjson.h)
endfunction()

# Its divisions come from FXdiv, one header.
function(midge_build_pthreadpool source)
  midge_add_sources(pthreadpool
    ${source}/src/memory.c ${source}/src/portable-api.c ${source}/src/pthreads.c)
  midge_copy_headers(pthreadpool ${source}/include pthreadpool.h)
  find_path(MIDGE_FXDIV_INCLUDE_DIR fxdiv.h)
  if(NOT MIDGE_FXDIV_INCLUDE_DIR)
    find_path(MIDGE_FXDIV_HOST_INCLUDE_DIR fxdiv.h NO_CMAKE_FIND_ROOT_PATH)
    set(MIDGE_FXDIV_INCLUDE_DIR ${MIDGE_FXDIV_HOST_INCLUDE_DIR})
  endif()
  mark_as_advanced(MIDGE_FXDIV_INCLUDE_DIR MIDGE_FXDIV_HOST_INCLUDE_DIR)
  if(NOT MIDGE_FXDIV_INCLUDE_DIR)
    message(FATAL_ERROR "fxdiv.h was not found, which pthreadpool's sources include. Install libfxdiv-dev, or set MIDGE_FXDIV_INCLUDE_DIR.")
  endif()
  file(COPY ${MIDGE_FXDIV_INCLUDE_DIR}/fxdiv.h DESTINATION ${PROJECT_BINARY_DIR}/headers/fxdiv)
  target_include_directories(midge_pthreadpool_objects SYSTEM PRIVATE
    ${source}/src ${source}/include ${PROJECT_BINARY_DIR}/headers/fxdiv)
  target_compile_definitions(midge_pthreadpool_objects PRIVATE
    _GNU_SOURCE PTHREADPOOL_NO_DEPRECATED_API=1 PTHREADPOOL_USE_FASTPATH=0)
  target_compile_definitions(midge_pthreadpool INTERFACE PTHREADPOOL_NO_DEPRECATED_API=1)
endfunction()

# By its own CMake files, which know which of its many sources a system needs.
function(midge_build_cpuinfo source)
  set(CPUINFO_LIBRARY_TYPE static CACHE STRING "" FORCE)
  foreach(part IN ITEMS TOOLS UNIT_TESTS MOCK_TESTS BENCHMARKS PKG_CONFIG)
    set(CPUINFO_BUILD_${part} OFF CACHE BOOL "" FORCE)
  endforeach()
  set(CPUINFO_LOG_LEVEL error CACHE STRING "" FORCE)
  add_subdirectory(${source} ${PROJECT_BINARY_DIR}/cpuinfo EXCLUDE_FROM_ALL)
  set_target_properties(cpuinfo PROPERTIES POSITION_INDEPENDENT_CODE ON)
  set_property(GLOBAL APPEND PROPERTY MIDGE_BUNDLED_OBJECTS cpuinfo)
  target_include_directories(midge_cpuinfo SYSTEM INTERFACE $<BUILD_INTERFACE:${source}/include>)
endfunction()
