# Fails if the symbols that libmidge.so exports are others than the committed list, which is its ABI.
# One that is added: add it to the list. One that is gone or renamed breaks programs.
# usage: cmake -DNM=nm -DLIBRARY=libmidge.so -DLIST=file -P check_symbols.cmake
cmake_minimum_required(VERSION 3.22)
execute_process(COMMAND ${NM} --dynamic --defined-only --extern-only ${LIBRARY}
  OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" lines "${text}")
set(found "")
foreach(line IN LISTS lines)
  string(REGEX REPLACE "^[0-9a-f]* *[A-Za-z] " "" symbol "${line}")
  if(NOT symbol MATCHES "^MIDGE_[0-9]+$|^MIDGE_[0-9]+@@")  # the versions themselves
    list(APPEND found ${symbol})
  endif()
endforeach()
list(SORT found)
file(STRINGS ${LIST} expected)
list(SORT expected)
if(NOT found STREQUAL expected)
  string(REPLACE ";" "\n" found "${found}")
  message(FATAL_ERROR "${LIBRARY} exports other symbols than ${LIST}:\n${found}")
endif()
list(LENGTH found count)
message(STATUS "${count} symbols")
