# Installs BUILD into a scratch prefix and runs the program from another directory.
set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}
  RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE error)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "cmake --install: ${error}")
endif()
# The emulator has the C and C++ libraries alone: what else the program needs was installed along.
execute_process(COMMAND ${EMULATOR} ${prefix}/bin/midge run --raw -p "Once upon a time" -n 8 --json
  WORKING_DIRECTORY /
  RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT code EQUAL 0 OR NOT output MATCHES "installed/share/midge/models/tiny-phi")
  message(FATAL_ERROR "exit ${code}\n${output}\n${error}")
endif()
foreach(page IN ITEMS share/man/man1/midge.1 share/bash-completion/completions/midge
        share/zsh/site-functions/_midge share/fish/vendor_completions.d/midge.fish)
  file(SIZE ${prefix}/${page} bytes)
  if(bytes LESS 1000)
    message(FATAL_ERROR "${page} has ${bytes} bytes")
  endif()
endforeach()
file(REMOVE_RECURSE ${prefix})
