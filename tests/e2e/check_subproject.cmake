# Configures the program in subproject/ twice, with add_subdirectory and with FetchContent, without a
# build type, and compiles its own files. They see the public headers alone, and midge's kernels are
# optimised.
# cmake -DSOURCE=root -DWORK=folder -DGENERATOR=name -P check_subproject.cmake
foreach(fetched IN ITEMS OFF ON)
  set(build ${WORK}/subproject-${fetched})
  file(REMOVE_RECURSE ${build})
  execute_process(COMMAND ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/subproject -B ${build}
    -G ${GENERATOR} -DMIDGE_SOURCE=${SOURCE} -DFETCHED=${fetched}
    RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "configure: ${output}")
  endif()
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} --target app
    RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "build: ${output}")
  endif()
  file(READ ${build}/compile_commands.json commands)
  foreach(file IN ITEMS kernels/generic/elementwise/add_f32_f32_generic.cc engine/ops/linear.cc)
    string(REGEX MATCH "\"command\": \"[^\"]*${file}" command "${commands}")
    if(NOT command MATCHES " -O[23] ")
      message(FATAL_ERROR "${file} is not optimised: ${command}")
    endif()
  endforeach()
  if(commands MATCHES "\"file\": \"${SOURCE}/(cli|bench|examples|tests/(unit|kernels))/")
    message(FATAL_ERROR "the program or the tests are built along")
  endif()
endforeach()
