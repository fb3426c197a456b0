# Fails if the built program, or an object of the library, lacks what midge_harden asks for
# (cmake/MidgeBuild.cmake). Reads headers only, so it works for a cross build, too.
# usage: cmake -DREADELF=<readelf> -DBINARY=<program> -DOBJECTS=<file with one path a line>
#          -DMARKS=<words of the property note, separated by commas> -DFORTIFY=<bool>
#          -DOBJDUMP=<objdump>
#          -P check_hardening.cmake
cmake_minimum_required(VERSION 3.22)
function(read_elf out)
  execute_process(COMMAND ${READELF} --wide ${ARGN} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

set(errors "")
function(expect text regex what)
  if(NOT text MATCHES "${regex}")
    set(errors "${errors}\n${what}" PARENT_SCOPE)
  endif()
endfunction()

read_elf(headers --file-header --program-headers --dynamic ${BINARY})
expect("${headers}" "Type: +DYN" "the program is not position independent")
expect("${headers}" "GNU_RELRO" "no segment becomes read-only after relocation")
expect("${headers}" "BIND_NOW|FLAGS_1[^\n]*NOW" "symbols are bound late, so RELRO is partial")
expect("${headers}" "GNU_STACK[^\n]* RW " "the stack is executable, or nothing says that it is not")
read_elf(symbols --dyn-syms ${BINARY})
expect("${symbols}" "__stack_chk_fail" "no function checks its stack")
expect("${symbols}" "__glibcxx_assert_fail" "libstdc++ asserts nothing")
if(FORTIFY)
  expect("${symbols}" "__[a-z]+_chk" "no call of libc is checked")
endif()

# Objects, because the program is marked only if the system's startup files are, too.
file(STRINGS ${OBJECTS} objects)
list(LENGTH objects count)
if(count LESS 25)
  message(FATAL_ERROR "${count} objects in ${OBJECTS}")
endif()
string(REPLACE "," ";" marks "${MARKS}")
foreach(object IN LISTS objects)
  read_elf(notes --notes ${object})
  foreach(mark IN LISTS marks)
    expect("${notes}" "Properties:[^\n]*${mark}" "${object}: not marked ${mark}")
  endforeach()
  # What is marked so must have a landing pad wherever a pointer may lead.
  if("BTI" IN_LIST marks AND object MATCHES "[.]S[.]o$")
    execute_process(COMMAND ${OBJDUMP} --disassemble --no-show-raw-insn ${object}
      OUTPUT_VARIABLE code COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "<midge_[a-z0-9_]+>:\n[^\n]*\n" starts "${code}")
    expect("${starts}" "midge_" "${object}: no function was found")
    foreach(start IN LISTS starts)
      expect("${start}" "bti[ \t]+c\n" "${object}: no landing pad at ${start}")
    endforeach()
  endif()
endforeach()

if(errors)
  message(FATAL_ERROR "${BINARY}:${errors}")
endif()
message(STATUS "${count} objects")
