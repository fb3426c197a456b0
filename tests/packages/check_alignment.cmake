# Fails if a library does not fit pages of 16 KiB exactly.
# usage: cmake -DREADELF=readelf -DLIBRARY=file -P check_alignment.cmake
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${READELF} --wide --program-headers ${LIBRARY}
  OUTPUT_VARIABLE headers COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "LOAD +[^\n]*" loads "${headers}")
list(LENGTH loads count)
if(count LESS 2)
  message(FATAL_ERROR "${count} LOAD segments in ${LIBRARY}")
endif()
foreach(load IN LISTS loads)
  if(NOT load MATCHES " 0x4000$")
    message(FATAL_ERROR "${LIBRARY}: ${load}")
  endif()
endforeach()
message(STATUS "${count} segments")
