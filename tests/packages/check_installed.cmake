# Installs a build and uses what is there as others would: by find_package and by pkg-config.
# usage: cmake -DBUILD=folder -DWORK=folder -DSOURCE=root -DGENERATOR=name -DC_COMPILER=cc
#          -DCXX_COMPILER=c++ -DPKG_CONFIG=program -DMODEL=file -P check_installed.cmake
cmake_minimum_required(VERSION 3.22)
set(prefix ${WORK}/prefix)
file(REMOVE_RECURSE ${WORK})
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE error)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${ARGN}: exit ${code}\n${output}\n${error}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()
function(expect_tale)
  run(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${prefix}/lib ${ARGN})
  if(NOT output MATCHES "^, there was a brave girl named Emma")
    message(FATAL_ERROR "${ARGN}: ${output}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
# Somewhere else than where it was installed to: nothing in it may name a folder.
file(RENAME ${prefix} ${WORK}/moved)
set(prefix ${WORK}/moved)

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer -B ${WORK}/consumer -G ${GENERATOR}
  -DCMAKE_PREFIX_PATH=${prefix} -DMIDGE_EXAMPLES=${SOURCE}/examples -DMIDGE_PACKED_MODEL=${MODEL})
run(${CMAKE_COMMAND} --build ${WORK}/consumer)
foreach(name IN ITEMS consumer consumer_static)
  expect_tale(${WORK}/consumer/${name} ${MODEL} "Once upon a time")
endforeach()
expect_tale(${WORK}/consumer/consumer_embedded)

if(PKG_CONFIG)
  set(ENV{PKG_CONFIG_PATH} ${prefix}/lib/pkgconfig)
  run(${PKG_CONFIG} --cflags --libs midge)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run(${C_COMPILER} ${SOURCE}/examples/minimal.c -o ${WORK}/by_pkg_config ${flags})
  expect_tale(${WORK}/by_pkg_config ${MODEL} "Once upon a time")
  # The static library, as docs/embedding.md links it: nothing of midge is needed to run it.
  run(${C_COMPILER} -c ${SOURCE}/examples/minimal.c -o ${WORK}/minimal.o ${flags})
  run(${PKG_CONFIG} --static --libs midge)
  separate_arguments(static_flags UNIX_COMMAND "${output}")
  run(${CXX_COMPILER} ${WORK}/minimal.o -o ${WORK}/static_by_pkg_config -Wl,--as-needed
    ${prefix}/lib/libmidge.a ${static_flags})
  run(${WORK}/static_by_pkg_config ${MODEL} "Once upon a time")
  # The program that docs/embedding.md shows, as it stands there.
  file(READ ${SOURCE}/docs/embedding.md page)
  string(FIND "${page}" "```c\n#include" start)
  math(EXPR start "${start} + 5")
  string(SUBSTRING "${page}" ${start} -1 page)
  string(FIND "${page}" "```" end)
  string(SUBSTRING "${page}" 0 ${end} program)
  file(WRITE ${WORK}/shown.c "${program}")
  run(${C_COMPILER} -std=c99 -Wall -Wextra -Wno-missing-field-initializers -Werror ${WORK}/shown.c
    -o ${WORK}/shown ${flags})
  expect_tale(${WORK}/shown ${MODEL} "Once upon a time")
endif()
file(REMOVE_RECURSE ${WORK})
