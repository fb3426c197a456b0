# Third-party libraries, as imported targets. docs/dependencies.md says why each is there.

find_package(Threads REQUIRED)

# midge_find_library(NAME header library...): target midge::NAME from a header and libraries, for
# packages that ship neither a CMake config nor a pkg-config file that works when cross-compiling.
function(midge_find_library name header)
  string(TOUPPER ${name} upper)
  find_path(MIDGE_${upper}_INCLUDE_DIR ${header} REQUIRED)
  mark_as_advanced(MIDGE_${upper}_INCLUDE_DIR)
  add_library(midge_${name} INTERFACE)
  add_library(midge::${name} ALIAS midge_${name})
  target_include_directories(midge_${name} SYSTEM INTERFACE ${MIDGE_${upper}_INCLUDE_DIR})
  foreach(library IN LISTS ARGN)
    find_library(MIDGE_${upper}_LIBRARY_${library} ${library} REQUIRED)
    mark_as_advanced(MIDGE_${upper}_LIBRARY_${library})
    target_link_libraries(midge_${name} INTERFACE ${MIDGE_${upper}_LIBRARY_${library}})
  endforeach()
endfunction()

midge_find_library(pthreadpool pthreadpool.h pthreadpool)
target_link_libraries(midge_pthreadpool INTERFACE Threads::Threads)
midge_find_library(utf8proc utf8proc.h utf8proc)
midge_find_library(simdjson simdjson.h simdjson)
if(MIDGE_WITH_XNNPACK)
  midge_find_library(xnnpack xnnpack.h XNNPACK)
  target_link_libraries(midge_xnnpack INTERFACE midge::pthreadpool)
endif()
if(MIDGE_BUILD_CLI)
  find_package(CLI11 CONFIG REQUIRED)
  if(MIDGE_WITH_LINE_EDITOR)
    midge_find_library(edit histedit.h edit)
  endif()
endif()
