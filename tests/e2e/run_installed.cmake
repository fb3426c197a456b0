# Installs BUILD into a scratch prefix and runs the program from another directory.
set(prefix ${BUILD}/installed)
file(REMOVE_RECURSE ${prefix})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix}
  RESULT_VARIABLE code OUTPUT_QUIET ERROR_VARIABLE error)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "cmake --install: ${error}")
endif()
if(EMULATOR)
  # An installed program has no path into the sysroot: on a device its libraries are the system's.
  set(ENV{QEMU_SET_ENV} "LD_LIBRARY_PATH=${EMULATED_LIBRARIES}")
endif()
execute_process(COMMAND ${EMULATOR} ${prefix}/bin/midge run --raw -p "Once upon a time" -n 8 --json
  WORKING_DIRECTORY /
  RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
if(NOT code EQUAL 0 OR NOT output MATCHES "installed/share/midge/models/tiny-phi")
  message(FATAL_ERROR "exit ${code}\n${output}\n${error}")
endif()
file(REMOVE_RECURSE ${prefix})
