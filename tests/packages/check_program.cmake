# Fails if the program of the profile `core` is larger than docs/size.md promises, or needs another
# shared library than those of every system.
# usage: cmake -DREADELF=... -DSTRIP=... -DBINARY=program -DWORK=folder -DMOST=bytes
#          -P check_program.cmake
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${READELF} --wide --dynamic ${BINARY}
  OUTPUT_VARIABLE dynamic COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "NEEDED[^\n]*" needed "${dynamic}")
if(NOT needed)
  message(FATAL_ERROR "${BINARY} needs no library: is it the program?")
endif()
foreach(line IN LISTS needed)
  if(NOT line MATCHES "\\[(libc|libm|libstdc\\+\\+|libgcc_s|ld-linux-[a-z0-9-]+)\\.so\\.[0-9]+\\]")
    message(FATAL_ERROR "${BINARY}: ${line}")
  endif()
endforeach()
execute_process(COMMAND ${STRIP} -o ${WORK}/stripped ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${WORK}/stripped bytes)
if(bytes GREATER MOST)
  message(FATAL_ERROR "${BINARY} takes ${bytes} bytes, expected at most ${MOST}")
endif()
list(LENGTH needed count)
message(STATUS "${bytes} bytes, ${count} shared libraries")
