# Fails if an object of an ISA level defines a symbol that the linker merges with those of the same
# name in other objects: an inline function or a template of the standard library, compiled with the
# level's flags, could end up in code that must run on every CPU.
# usage: cmake -DNM=<nm> -DOBJECTS=<file with one path a line> -P check_weak_symbols.cmake
file(STRINGS ${OBJECTS} objects)
set(errors "")
set(count 0)
foreach(object IN LISTS objects)
  if(NOT object MATCHES "/kernels/(arm64|x86_64)/")
    continue()
  endif()
  math(EXPR count "${count} + 1")
  execute_process(COMMAND ${NM} --defined-only ${object} OUTPUT_VARIABLE symbols
    COMMAND_ERROR_IS_FATAL ANY)
  # V, W: weak. u: unique in the whole program.
  string(REGEX MATCHALL "[^\n]* [VWu] [^\n]*" weak "${symbols}")
  foreach(symbol IN LISTS weak)
    string(APPEND errors "\n${object}: ${symbol}")
  endforeach()
endforeach()
if(count EQUAL 0)
  message(FATAL_ERROR "no object of an ISA level in ${OBJECTS}")
endif()
if(errors)
  message(FATAL_ERROR "weak symbols:${errors}")
endif()
message(STATUS "${count} objects")
