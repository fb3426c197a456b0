# Fails if the sources go around what keeps hostile input harmless (docs/hostile-input.md).
# usage: cmake -DSOURCE=<repository> -P check_sources.cmake
set(errors "")

# forbid(reason regex FILES glob... [EXCEPT file...] [ALLOWED regex]): no line of the files may
# match, unless it matches ALLOWED too.
function(forbid reason regex)
  cmake_parse_arguments(ARG "" "" "FILES;EXCEPT;ALLOWED" ${ARGN})
  set(files "")
  foreach(pattern IN LISTS ARG_FILES)
    file(GLOB_RECURSE found ${SOURCE}/${pattern})
    list(APPEND files ${found})
  endforeach()
  if(NOT files)
    message(FATAL_ERROR "no files match ${ARG_FILES}")
  endif()
  foreach(except IN LISTS ARG_EXCEPT)
    list(REMOVE_ITEM files ${SOURCE}/${except})
  endforeach()
  foreach(file IN LISTS files)
    file(STRINGS ${file} lines REGEX "${regex}")
    foreach(line IN LISTS lines)
      if(ARG_ALLOWED AND line MATCHES "${ARG_ALLOWED}")
        continue()
      endif()
      string(APPEND errors "\n${file}: ${reason}: ${line}")
    endforeach()
  endforeach()
  set(errors "${errors}" PARENT_SCOPE)
endfunction()

forbid("writes around the border, cli/terminal.h"
  "(^|[^a-z_])(printf|fprintf|puts|fputs|putchar|fputc|putc|fwrite|vprintf|vfprintf|perror) ?\\(|std::(cout|cerr|clog)"
  FILES cli/*.cc cli/*.h EXCEPT cli/terminal.cc cli/terminal.h)

forbid("a table that a file's maker can flood: SeededHash, an ordered map, or a sorted list"
  "unordered_(multi)?(map|set)<.*>"
  FILES engine/*.h engine/*.cc models/*.h models/*.cc cli/*.h cli/*.cc
  EXCEPT engine/tokenizer_files/sentencepiece_library.cc  # copies a library's table to judge it
  ALLOWED "SeededHash>")

forbid("a path that is neither cut nor visible: shown_path()"
  "path(_|\\(\\))?(\\.|->)c_str\\(\\)"
  FILES engine/formats/*.cc engine/tokenizer_files/*.cc engine/chat/*.cc models/*.cc
  EXCEPT engine/formats/gguf/gguf.cc engine/formats/safetensors/safetensors.cc  # cut once
  ALLOWED "shown_path\\(")

if(errors)
  message(FATAL_ERROR "${errors}")
endif()
